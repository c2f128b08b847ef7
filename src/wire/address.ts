/**
 * Addresses as people write them: parsing and formatting. An error names the text that was refused.
 *
 * An IPv4 address is 32 bits in a number. {@link parseIpv4} returns it unsigned; the readers of packets return it
 * signed (see bytes.ts). Compare two addresses with `| 0` on both sides. {@link formatIpv4} takes either.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { formatMac, MAC_BYTES, macOctets } from '../../drivers/mac-address.js';
import { ArgumentError } from '../errors.js';

export { formatMac, MAC_BYTES };

/** 255.255.255.255, the limited broadcast address (RFC 919), as a signed number. */
export const IPV4_BROADCAST = -1;

/** Two digits per octet, and the same separator throughout. */
const MAC_FORM = /^[0-9a-f]{2}([:-])[0-9a-f]{2}(\1[0-9a-f]{2}){4}$/i;

/** The address of an interface, and the length of its prefix. */
export interface Ipv4Interface {
  /** The address, unsigned. */
  readonly address: number;
  /** Length of the prefix in bits, 0 to 32. */
  readonly prefixLength: number;
}

/**
 * Parses `10.0.0.1`.
 * @returns the address, unsigned
 * @throws ArgumentError when the text is not an IPv4 address; the message names the text
 */
export function parseIpv4(text: string): number {
  refuseIpv6(text, text);
  if (!isIPv4(text)) throw new ArgumentError(`'${text}' is not an IPv4 address (want something like 10.0.0.1)`);
  return text.split('.').reduce((bits, part) => bits * 256 + Number(part), 0);
}

/**
 * Parses `10.0.0.1/24`: the address of an interface, and the length of the prefix that its link has.
 * @throws ArgumentError when the address or the prefix length is wrong; the message names the text
 */
export function parseIpv4Interface(text: string): Ipv4Interface {
  const slash = text.indexOf('/');
  const prefix = slash < 0 ? '' : text.slice(slash + 1);
  refuseIpv6(slash < 0 ? text : text.slice(0, slash), text);
  if (!/^\d{1,2}$/.test(prefix) || Number(prefix) > 32) {
    throw new ArgumentError(`'${text}' has no prefix length of 0 to 32 (want something like 10.0.0.1/24)`);
  }
  return { address: parseIpv4(text.slice(0, slash)), prefixLength: Number(prefix) };
}

function refuseIpv6(address: string, text: string): void {
  if (isIPv6(address)) throw new ArgumentError(`IPv6 is not supported yet ('${text}')`);
}

/**
 * Formats an IPv4 address as `10.0.0.1`.
 * @param address 32 bits, signed or unsigned
 */
export function formatIpv4(address: number): string {
  return `${(address >>> 24) & 0xff}.${(address >>> 16) & 0xff}.${(address >>> 8) & 0xff}.${address & 0xff}`;
}

/**
 * Returns the mask of a prefix as a signed number: 24 gives 0xffffff00.
 * @param prefixLength 0 to 32
 */
export function prefixMask(prefixLength: number): number {
  // JavaScript takes a shift by 32 for a shift by 0.
  return prefixLength === 0 ? 0 : -1 << (32 - prefixLength);
}

/**
 * Whether an address is a multicast address, 224.0.0.0/4 (RFC 1112, 4).
 * @param address signed: call it with `address | 0`
 */
export function isIpv4Multicast(address: number): boolean {
  return address >> 28 === -2;
}

/**
 * Parses `52:54:00:12:34:56`. Dashes instead of colons, and upper-case digits, are accepted, too.
 * @returns six bytes
 * @throws ArgumentError when the text is not a MAC address; the message names the text
 */
export function parseMac(text: string): Uint8Array {
  const mac = macOctets(text, MAC_FORM);
  if (mac === null) throw new ArgumentError(`'${text}' is not a MAC address (want something like 52:54:00:12:34:56)`);
  return mac;
}

/**
 * Parses the MAC address of one station.
 * @returns six bytes
 * @throws ArgumentError when the text is not a MAC address, or is a group address or all zeros
 */
export function parseStationMac(text: string): Uint8Array {
  const mac = parseMac(text);
  if (!isStationMac(mac)) {
    throw new ArgumentError(`'${text}' is a group address or all zeros, not the MAC address of one station`);
  }
  return mac;
}

/**
 * Whether six bytes can be the MAC address of one station: the group bit is off (IEEE 802, 8.2), and not all bytes
 * are zero.
 * @param offset of the first of the six bytes
 */
export function isStationMac(mac: Uint8Array, offset = 0): boolean {
  let any = 0;
  for (let i = 0; i < MAC_BYTES; i++) any |= mac[offset + i];
  return any !== 0 && (mac[offset] & 1) === 0;
}
