/** `dns.lookup` and `dns.resolve4` over the stack: /etc/hosts first, then DNS. */
import { AsyncResource } from 'node:async_hooks';
import dns, { type LookupAddress, type LookupAllOptions, type LookupOneOptions, type LookupOptions } from 'node:dns';
import { isIP, isIPv4, isIPv6 } from 'node:net';
import { promisify } from 'node:util';
import { lookupError, queryError } from './errors.js';
import type { HostsFile } from './hosts-file.js';
import { canonicalName, isLocalhost, isNumeric, numericAddress } from './names.js';
import type { Resolution, Resolver } from './resolver.js';

export type LookupCallback = (
  error: NodeJS.ErrnoException | null,
  address?: string | LookupAddress[],
  family?: number,
) => void;

/** The function of Node before anybody puts ours in its place: it checks arguments, and answers for addresses. */
const nodeLookup = dns.lookup;
const ANY_ADDRESS = '0.0.0.0';

export type Resolve4Callback = (error: NodeJS.ErrnoException | null, addresses?: string[]) => void;

/** The functions of `node:dns` that a stack has. */
export interface StackDns {
  readonly lookup: typeof dns.lookup;
  /** Asks the servers for exactly this name. */
  readonly resolve4: (hostname: string, callback: Resolve4Callback) => void;
  readonly promises: {
    readonly lookup: typeof dns.promises.lookup;
    readonly resolve4: (hostname: string) => Promise<string[]>;
  };
}

/**
 * Makes the functions over a resolver. They have the arguments, results and errors of Node's own.
 *
 * - A name without servers to ask, and not in the hosts file, is not found.
 * - `localhost` and names below it are 127.0.0.1 if the hosts file does not have them (RFC 6761, 6.3).
 * - The stack has IPv4 only: IPv6 addresses are answered if the hosts file has them, and no IPv4 address or
 *   `family: 6` is asked for.
 */
export function createDns(hosts: HostsFile, resolver: Resolver): StackDns {
  const lookup = (hostname: unknown, options?: unknown, callback?: unknown): object => {
    const done = typeof options === 'function' ? options : callback;
    const isName = typeof hostname === 'string' && hostname !== '' && isIP(hostname) === 0;
    if (!isName || typeof done !== 'function') return callNode(hostname, options, callback);
    // Node throws what it throws for these options.
    if (typeof options !== 'function') callNode(ANY_ADDRESS, options, () => {});
    const wanted = wantedOf(options);
    const answer = inContextOf(done as LookupCallback);
    find(hosts, resolver, hostname, wanted.family, (found) => {
      if (typeof found === 'string') answer(lookupError(found, hostname));
      else if (wanted.all) answer(null, found.map(withFamily));
      else answer(null, found[0], isIP(found[0]));
    });
    return {};
  };
  const lookupPromise = (hostname: string, options?: LookupOptions | number): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const done: LookupCallback = (error, address, family) => {
        if (error !== null) reject(error);
        else resolve(Array.isArray(address) ? address : { address, family });
      };
      if (options === undefined) lookup(hostname, done);
      else lookup(hostname, options, done);
    });
  const resolve4 = (hostname: string, callback: Resolve4Callback): void => {
    const answer = inContextOf(callback);
    const name = canonicalName(hostname);
    if (name === null) answer(queryError('no-name', hostname));
    else
      resolver.resolve(name, (resolution) => {
        if (resolution.kind !== 'found') answer(queryError(resolution.kind, hostname));
        else answer(null, [...resolution.addresses]);
      });
  };
  Object.defineProperty(lookup, promisify.custom, { value: lookupPromise });
  return {
    lookup: lookup as unknown as typeof dns.lookup,
    resolve4,
    promises: {
      lookup: lookupPromise as typeof dns.promises.lookup,
      resolve4: (hostname) =>
        new Promise((resolve, reject) => {
          resolve4(hostname, (error, addresses = []) => (error === null ? resolve(addresses) : reject(error)));
        }),
    },
  };
}

const callNode = nodeLookup as unknown as (hostname: unknown, options: unknown, callback: unknown) => object;

interface Wanted {
  readonly family: 0 | 4 | 6;
  readonly all: boolean;
}

/** What the options, which Node has checked, ask for. `hints` and the order make no difference with one family. */
function wantedOf(options: unknown): Wanted {
  if (typeof options === 'number') return { family: options as Wanted['family'], all: false };
  if (typeof options !== 'object' || options === null) return { family: 0, all: false };
  const { family, all } = options as LookupOneOptions | LookupAllOptions;
  return {
    family: family === 'IPv4' ? 4 : family === 'IPv6' ? 6 : ((family ?? 0) as Wanted['family']),
    all: all === true,
  };
}

/** Addresses, at least one; or why there is none. */
type Found = readonly string[] | Exclude<Resolution['kind'], 'found'>;

/** @param done is called once, perhaps before this returns */
function find(
  hosts: HostsFile,
  resolver: Resolver,
  text: string,
  family: Wanted['family'],
  done: (found: Found) => void,
): void {
  const local = findLocally(hosts, text, family);
  if (local !== null) done(local);
  else
    resolver.lookup(text, (resolution) => done(resolution.kind === 'found' ? resolution.addresses : resolution.kind));
}

/** Returns null for a name that DNS servers have to be asked for. */
function findLocally(hosts: HostsFile, text: string, family: Wanted['family']): Found | null {
  const name = canonicalName(text);
  if (name === null) return 'no-name';
  if (isNumeric(name)) {
    const address = family === 6 ? null : numericAddress(name);
    return address === null ? 'no-name' : [address];
  }
  const known = ofFamily(hosts.lookup(name), family);
  if (known.length > 0) return known;
  if (isLocalhost(name)) return [family === 6 ? '::1' : '127.0.0.1'];
  return family === 6 ? 'no-name' : null;
}

/** Without a wish IPv4 addresses, because only these go over the stack; IPv6 addresses if there are no others. */
function ofFamily(addresses: readonly string[], family: Wanted['family']): readonly string[] {
  if (family === 6) return addresses.filter(isIPv6);
  const four = addresses.filter(isIPv4);
  return family === 0 && four.length === 0 ? addresses : four;
}

const withFamily = (address: string): LookupAddress => ({ address, family: isIP(address) });

/**
 * Returns a function that calls back in the next tick, in the asynchronous context of now: an error that the callback
 * throws is the program's, and does not end the stack's poll.
 */
function inContextOf<Arguments extends unknown[]>(
  callback: (...args: Arguments) => void,
): (...args: Arguments) => void {
  const resource = new AsyncResource('GETADDRINFOREQWRAP');
  return (...args) => {
    process.nextTick(() => resource.runInAsyncScope(callback, undefined, ...args));
  };
}
