/** The URL of `tspmd get`. */
import { readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { ConfigError } from '../../index.js';

export interface Target {
  /** As it was written. */
  readonly url: string;
  /** IPv4 address. */
  readonly address: string;
  readonly port: number;
  /** As the field `Host` has it. */
  readonly host: string;
  /** Path with the query. */
  readonly path: string;
}

const HOSTS_FILE = '/etc/hosts';
const DEFAULT_PORT = 80;

/** @throws ConfigError when the text is not the URL of an HTTP server, or its name is not known */
export function parseTarget(text: string, hostsFile = HOSTS_FILE): Target {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.hostname === '') throw fault(text, 'it is not a URL such as http://10.0.0.2/');
  if (url.protocol !== 'http:') throw fault(text, `only http: is possible, not ${url.protocol}`);
  if (url.username !== '' || url.password !== '') throw fault(text, 'a user and a password are not possible');
  return {
    url: text,
    address: isIPv4(url.hostname) ? url.hostname : addressOf(url.hostname, text, hostsFile),
    port: url.port === '' ? DEFAULT_PORT : Number(url.port),
    host: url.host,
    path: url.pathname + url.search,
  };
}

function addressOf(name: string, text: string, hostsFile: string): string {
  for (const line of readHosts(hostsFile)) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (isIPv4(address) && names.some((known) => known.toLowerCase() === name)) return address;
  }
  throw fault(text, `there is no DNS yet, and ${hostsFile} has no IPv4 address of ${name}: write the address`);
}

function readHosts(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch {
    return [];
  }
}

function fault(text: string, reason: string): ConfigError {
  return new ConfigError([`URL ${text}: ${reason}`]);
}
