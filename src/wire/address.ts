/**
 * Addresses as people write them: parse and format, with errors that name the input.
 *
 * An IPv4 address is its 32 bits in a number. What {@link parseIpv4} returns is unsigned; the packet path works with the
 * same bits signed (see bytes.ts), so compare with `| 0` on both sides. {@link formatIpv4} takes either.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { ArgumentError } from '../errors.js';

/** 255.255.255.255, the limited broadcast (RFC 919), signed. */
export const IPV4_BROADCAST = -1;
/** Bytes of a MAC address. */
export const MAC_BYTES = 6;

/** An interface's address and the length of its prefix. */
export interface Ipv4Interface {
  /** The address, unsigned. */
  readonly address: number;
  /** 0 to 32. */
  readonly prefixLength: number;
}

/**
 * Parses `10.0.0.1`.
 * @returns the address, unsigned.
 * @throws ArgumentError that names the text.
 */
export function parseIpv4(text: string): number {
  refuseIpv6(text, text);
  if (!isIPv4(text)) throw new ArgumentError(`'${text}' is not an IPv4 address (want something like 10.0.0.1)`);
  return text.split('.').reduce((bits, part) => bits * 256 + Number(part), 0);
}

/**
 * Parses `10.0.0.1/24`: an interface's own address, with the length of the prefix that is on its link.
 * @throws ArgumentError that names the text.
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

/** `10.0.0.1`; takes signed and unsigned bits. */
export function formatIpv4(address: number): string {
  return `${(address >>> 24) & 0xff}.${(address >>> 16) & 0xff}.${(address >>> 8) & 0xff}.${address & 0xff}`;
}

/** The mask of a prefix, signed: 24 -> 0xffffff00. A shift by 32 would be one by 0 in JavaScript. */
export function prefixMask(prefixLength: number): number {
  return prefixLength === 0 ? 0 : -1 << (32 - prefixLength);
}

/** 224.0.0.0/4 (RFC 1112, 4). */
export function isIpv4Multicast(address: number): boolean {
  return address >> 28 === -2;
}

/**
 * Parses `52:54:00:12:34:56` (or with dashes, any case).
 * @returns six bytes.
 * @throws ArgumentError that names the text.
 */
export function parseMac(text: string): Uint8Array {
  if (!/^[0-9a-f]{2}([:-])[0-9a-f]{2}(\1[0-9a-f]{2}){4}$/i.test(text)) {
    throw new ArgumentError(`'${text}' is not a MAC address (want something like 52:54:00:12:34:56)`);
  }
  return Uint8Array.from(text.split(/[:-]/), (part) => Number.parseInt(part, 16));
}

/** Parses the MAC address of one station: not a group address, not all zeros. */
export function parseStationMac(text: string): Uint8Array {
  const mac = parseMac(text);
  if (!isStationMac(mac)) {
    throw new ArgumentError(`'${text}' is a group address or all zeros, not the MAC address of one station`);
  }
  return mac;
}

/** Whether these six bytes can be one station's address: the group bit is off (IEEE 802, 8.2) and not all are zero. */
export function isStationMac(mac: Uint8Array, offset = 0): boolean {
  let any = 0;
  for (let i = 0; i < MAC_BYTES; i++) any |= mac[offset + i];
  return any !== 0 && (mac[offset] & 1) === 0;
}

/** `52:54:00:12:34:56`, of the six bytes at `offset`. */
export function formatMac(bytes: Uint8Array, offset = 0): string {
  return Array.from(bytes.subarray(offset, offset + MAC_BYTES), (byte) => byte.toString(16).padStart(2, '0')).join(':');
}
