/** Names of hosts: how they are spelled here, and which of them can be asked for. */
import { isIPv4 } from 'node:net';
import { domainToASCII } from 'node:url';

/** RFC 1035, 2.3.4: 255 bytes with the lengths of the labels, which are 253 characters of text. */
const MAX_CHARACTERS = 253;
/** RFC 1035, 2.3.4. RFC 2181, 11: a label may have any characters. Those that are no text are refused here. */
const LABEL = /^[!-\-/-~]{1,63}$/;
const ASCII = /^[ -~]*$/;
/** The last label of an address in one of the forms of inet_aton(3), such as 127.1, or of a wrong address. */
const NUMBER = /(^|\.)(\d+|0x[\da-f]*)$/i;

/**
 * Returns the spelling of a name by which it is asked for and compared: ASCII (RFC 5891), lower case, no dot at the end.
 * @returns null when the text cannot be a name
 */
export function canonicalName(text: string): string | null {
  const ascii = ASCII.test(text) ? text.toLowerCase() : domainToASCII(text);
  const name = ascii.endsWith('.') ? ascii.slice(0, -1) : ascii;
  if (name.length > MAX_CHARACTERS) return null;
  return name.split('.').every((label) => LABEL.test(label)) ? name : null;
}

/** Whether a canonical name ends as a number, so that it is no name: `127.1`, `0x7f000001`, `1.2.3.256`. */
export function isNumeric(name: string): boolean {
  return NUMBER.test(name);
}

/**
 * Reads an address in the forms of inet_aton(3), which getaddrinfo(3) accepts: `127.1` is 127.0.0.1.
 * @returns the address with four numbers; null when it is none
 */
export function numericAddress(name: string): string | null {
  try {
    const { hostname } = new URL(`http://${name}`);
    return isIPv4(hostname) ? hostname : null;
  } catch {
    return null;
  }
}

/** Whether a canonical name means this machine (RFC 6761, 6.3). */
export function isLocalhost(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost');
}

/**
 * Returns the names to ask for in turn, by the rules of resolv.conf(5) with `ndots:1`.
 * @param text as the program wrote it: a dot at the end means that the name is whole
 * @param name the same name, canonical
 * @param search domains, canonical
 */
export function candidates(text: string, name: string, search: readonly string[]): string[] {
  if (text.endsWith('.')) return [name];
  const longer = search.map((domain) => `${name}.${domain}`).filter((candidate) => candidate.length <= MAX_CHARACTERS);
  return name.includes('.') ? [name, ...longer] : [...longer, name];
}
