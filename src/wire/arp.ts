/** ARP for IPv4 over Ethernet (RFC 826): field offsets from the first byte of the ARP packet, and the writer of one. */
import { readI32, readU16, writeI32, writeU16 } from './bytes.js';
import { copyMac, ETHERTYPE_IPV4 } from './ethernet.js';
import type { WireMemory } from './memory.js';

export const ARP_HARDWARE_TYPE = 0;
export const ARP_PROTOCOL_TYPE = 2;
export const ARP_HARDWARE_LENGTH = 4;
export const ARP_PROTOCOL_LENGTH = 5;
export const ARP_OPERATION = 6;
export const ARP_SENDER_MAC = 8;
export const ARP_SENDER_IP = 14;
export const ARP_TARGET_MAC = 18;
export const ARP_TARGET_IP = 24;
export const ARP_BYTES = 28;

export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;

const HARDWARE_ETHERNET = 1;

/** Whether `length` bytes at `offset` are ARP for IPv4 over Ethernet with a known operation; then all fields are there. */
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

/** {@link ARP_REQUEST} or {@link ARP_REPLY}; others are no ARP for {@link isArp}. */
export function arpOperation(u8: Uint8Array, offset: number): number {
  return readU16(u8, offset + ARP_OPERATION);
}

/** The sender's IPv4 address, signed bits. */
export function arpSenderIp(u8: Uint8Array, offset: number): number {
  return readI32(u8, offset + ARP_SENDER_IP);
}

/** The target's IPv4 address, signed bits. */
export function arpTargetIp(u8: Uint8Array, offset: number): number {
  return readI32(u8, offset + ARP_TARGET_IP);
}

/** Writes a whole ARP packet of {@link ARP_BYTES} at `offset`, which must be even. MAC addresses are three memory words. */
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
