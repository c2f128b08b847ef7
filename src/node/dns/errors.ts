/** The errors of lookups: those that Node makes of what getaddrinfo(3) and c-ares return. */
import type { Resolution } from './resolver.js';

/** An error of a lookup, with the properties that Node's own errors have. */
export interface LookupError extends NodeJS.ErrnoException {
  hostname: string;
}

type Failed = Exclude<Resolution['kind'], 'found'>;

/** libuv's numbers of UV_EAI_NONAME and UV_EAI_AGAIN. */
const EAI_NONAME = -3008;
const EAI_AGAIN = -3001;

const WITHOUT_SERVER = 'no DNS server is known: name one with --dns';

/** The codes of c-ares. */
const QUERY_CODES: Readonly<Record<Failed, string>> = {
  'no-name': 'ENOTFOUND',
  'no-data': 'ENODATA',
  timeout: 'ETIMEOUT',
  unreachable: 'ECONNREFUSED',
  refused: 'ESERVFAIL',
  overflow: 'ENOMEM',
  'no-server': 'ENOTFOUND',
};

/** Makes the error of `dns.lookup`. */
export function lookupError(kind: Failed, hostname: string): LookupError {
  const isAbsent = kind === 'no-name' || kind === 'no-data' || kind === 'no-server';
  const [errno, code] = isAbsent ? [EAI_NONAME, 'ENOTFOUND'] : [EAI_AGAIN, 'EAI_AGAIN'];
  return systemError('getaddrinfo', kind, code, hostname, errno);
}

/** Makes the error of `dns.resolve4`. */
export function queryError(kind: Failed, hostname: string): LookupError {
  return systemError('queryA', kind, QUERY_CODES[kind], hostname, undefined);
}

function systemError(
  syscall: string,
  kind: Failed,
  code: string,
  hostname: string,
  errno: number | undefined,
): LookupError {
  const why = kind === 'no-server' ? ` (${WITHOUT_SERVER})` : '';
  return Object.assign(new Error(`${syscall} ${code} ${hostname}${why}`), { errno, code, syscall, hostname });
}
