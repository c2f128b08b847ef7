/**
 * ARP for IPv4 over Ethernet (RFC 826): field offsets, readers, a check, and a writer. Offsets are in bytes and count
 * from the first byte of the ARP packet.
 */
import { readI32, readU16, writeI32, writeU16 } from './bytes.js';
import { copyMac, ETHERTYPE_IPV4 } from './ethernet.js';
import type { WireMemory } from './memory.js';

/** Offset of the hardware type, 16 bits: 1 for Ethernet. */
export const ARP_HARDWARE_TYPE = 0;
/** Offset of the protocol type, 16 bits: the EtherType of IPv4. */
export const ARP_PROTOCOL_TYPE = 2;
/** Offset of the length of a hardware address, 8 bits: 6. */
export const ARP_HARDWARE_LENGTH = 4;
/** Offset of the length of a protocol address, 8 bits: 4. */
export const ARP_PROTOCOL_LENGTH = 5;
/** Offset of the operation, 16 bits: {@link ARP_REQUEST} or {@link ARP_REPLY}. */
export const ARP_OPERATION = 6;
/** Offset of the sender's MAC address. */
export const ARP_SENDER_MAC = 8;
/** Offset of the sender's IPv4 address. */
export const ARP_SENDER_IP = 14;
/** Offset of the target's MAC address: zeros in a request. */
export const ARP_TARGET_MAC = 18;
/** Offset of the target's IPv4 address. */
export const ARP_TARGET_IP = 24;
/** Length of an ARP packet in bytes. */
export const ARP_BYTES = 28;

/** The operation that asks for the MAC address of the target. */
export const ARP_REQUEST = 1;
/** The operation that answers a request. */
export const ARP_REPLY = 2;

const HARDWARE_ETHERNET = 1;

/**
 * Whether `length` bytes at `offset` are an ARP packet for IPv4 over Ethernet, a request or a reply. All fields are
 * there when it returns true.
 */
export function isArp(u8: Uint8Array, offset: number, length: number): boolean {
  if (length < ARP_BYTES) return false;
  const operation = readU16(u8, offset + ARP_OPERATION);
  return (
    readU16(u8, offset + ARP_HARDWARE_TYPE) === HARDWARE_ETHERNET &&
    readU16(u8, offset + ARP_PROTOCOL_TYPE) === ETHERTYPE_IPV4 &&
    u8[offset + ARP_HARDWARE_LENGTH] === 6 &&
    u8[offset + ARP_PROTOCOL_LENGTH] === 4 &&
    (operation === ARP_REQUEST || operation === ARP_REPLY)
  );
}

/** Reads the operation: {@link ARP_REQUEST} or {@link ARP_REPLY} after {@link isArp} returned true. */
export function arpOperation(u8: Uint8Array, offset: number): number {
  return readU16(u8, offset + ARP_OPERATION);
}

/** Reads the sender's IPv4 address, as a signed number. */
export function arpSenderIp(u8: Uint8Array, offset: number): number {
  return readI32(u8, offset + ARP_SENDER_IP);
}

/** Reads the target's IPv4 address, as a signed number. */
export function arpTargetIp(u8: Uint8Array, offset: number): number {
  return readI32(u8, offset + ARP_TARGET_IP);
}

/**
 * Writes a whole ARP packet of {@link ARP_BYTES}.
 * @param offset of the packet's first byte; must be even
 * @param operation {@link ARP_REQUEST} or {@link ARP_REPLY}
 * @param senderMac three memory words, see {@link macWords}
 * @param senderIp an IPv4 address, signed or unsigned
 * @param targetMac three memory words; {@link NO_MAC} in a request
 * @param targetIp an IPv4 address, signed or unsigned
 */
export function writeArp(
  memory: WireMemory,
  offset: number,
  operation: number,
  senderMac: Uint16Array,
  senderIp: number,
  targetMac: Uint16Array,
  targetIp: number,
): void {
  const u8 = memory.u8;
  writeU16(u8, offset + ARP_HARDWARE_TYPE, HARDWARE_ETHERNET);
  writeU16(u8, offset + ARP_PROTOCOL_TYPE, ETHERTYPE_IPV4);
  u8[offset + ARP_HARDWARE_LENGTH] = 6;
  u8[offset + ARP_PROTOCOL_LENGTH] = 4;
  writeU16(u8, offset + ARP_OPERATION, operation);
  copyMac(memory.u16, (offset + ARP_SENDER_MAC) >>> 1, senderMac, 0);
  writeI32(u8, offset + ARP_SENDER_IP, senderIp);
  copyMac(memory.u16, (offset + ARP_TARGET_MAC) >>> 1, targetMac, 0);
  writeI32(u8, offset + ARP_TARGET_IP, targetIp);
}
