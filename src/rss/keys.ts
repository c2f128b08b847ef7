/**
 * The options of RSS: a key of 40 bytes, and whether both directions of a flow have the same hash.
 *
 * | options                                  | hash                                                          |
 * | ---------------------------------------- | ------------------------------------------------------------- |
 * | none                                     | symmetric: the tuple is put in order, then Microsoft's key    |
 * | `{ symmetric: false }`                   | Microsoft's hash, as NICs compute it; directions differ       |
 * | `{ key: 'symmetric' }`                   | the repeating key; symmetric with and without the ordering    |
 * | `{ key: '80 hex digits' }` or 40 bytes   | that key, symmetric unless `symmetric` is false               |
 *
 * To put the tuple in order is the default. A key that repeats every 16 bits is the alternative, but with it the hash
 * is an XOR of the 16-bit words of the tuple, and its two halves are equal: flows whose words differ in the same bits
 * collide.
 */
import { ArgumentError } from '../errors.js';

/** The 36 bytes of an IPv6 tuple with ports, and 32 bits for the window of the last byte. */
export const RSS_KEY_BYTES = 40;

/** The key of Microsoft's verification suite ("Verifying the RSS Hash Calculation"), and many NICs' default. */
const MICROSOFT = '6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa';
/** Woo and Park, "Scalable TCP Session Monitoring with Symmetric Receive-side Scaling" (2012). */
const SYMMETRIC = '6d5a'.repeat(RSS_KEY_BYTES / 2);
const NAMED: Readonly<Record<string, string>> = { microsoft: MICROSOFT, symmetric: SYMMETRIC };

/** How the hash of a flow is computed. */
export interface RssOptions {
  /** `microsoft` (default), `symmetric`, 80 hex digits, or 40 bytes. */
  readonly key?: string | Uint8Array;
  /** Whether tuples are put in order first, so that both directions of a flow reach the same core. Default true. */
  readonly symmetric?: boolean;
}

/** Checked {@link RssOptions}. They are valid as options again, and structured-cloneable. */
export interface ResolvedRss {
  /** 40 bytes, a copy. */
  readonly key: Uint8Array;
  readonly symmetric: boolean;
}

/**
 * Parses a key: a name, 80 hex digits, or 40 bytes.
 * @returns 40 bytes, a copy.
 * @throws ArgumentError that names what was found.
 */
export function parseRssKey(key: string | Uint8Array): Uint8Array {
  if (key instanceof Uint8Array) {
    if (key.length === RSS_KEY_BYTES) return Uint8Array.from(key);
    throw new ArgumentError(`an RSS key of ${key.length} bytes: it must have ${RSS_KEY_BYTES}`);
  }
  const digits = typeof key === 'string' && Object.hasOwn(NAMED, key) ? NAMED[key] : key;
  if (typeof digits !== 'string' || !/^[0-9a-f]{80}$/i.test(digits)) {
    const found = typeof key === 'string' ? `'${key}'` : String(key);
    throw new ArgumentError(`${found} is not an RSS key (possible are microsoft, symmetric, or 80 hex digits)`);
  }
  return Uint8Array.from({ length: RSS_KEY_BYTES }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}

/**
 * Checks options and fills in the defaults.
 * @throws ArgumentError, one line.
 */
export function resolveRss(options: RssOptions = {}): ResolvedRss {
  if (typeof options !== 'object' || options === null) {
    throw new ArgumentError(`RSS options are an object { key, symmetric }, found ${JSON.stringify(options)}`);
  }
  const { key = 'microsoft', symmetric = true, ...unknown } = options;
  const [strange] = Object.keys(unknown);
  if (strange !== undefined) throw new ArgumentError(`RSS option ${strange} is unknown (known are key, symmetric)`);
  if (typeof symmetric !== 'boolean')
    throw new ArgumentError(`RSS symmetric: ${String(symmetric)} is not true or false`);
  return { key: parseRssKey(key), symmetric };
}
