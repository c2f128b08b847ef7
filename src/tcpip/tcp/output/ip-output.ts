/** What TCP needs of IP to send. `ip/` implements it. */
import type { PacketBuffer } from '../../../link/packet-buffer.js';
import { IPV4_HEADER_BYTES } from '../../../wire/ipv4.js';

/** Where the payload of an IP packet that we send begins in its buffer, from `buffer.offset`. */
export const IP_PAYLOAD = IPV4_HEADER_BYTES;

export interface IpOutput {
  /** What the device does for packets to send, as of now: OFFLOAD_ bits. */
  readonly offloads: number;
  /**
   * Takes an empty buffer, for a payload at {@link IP_PAYLOAD}, or for a later part of a packet; null when none is free.
   */
  begin(): PacketBuffer | null;
  /** Gives a buffer back. */
  release(packet: PacketBuffer): void;
  /**
   * Writes the IP header, and sends. Of a packet in several buffers, the caller has set the length of each.
   * @param length bytes of the payload, of all parts
   * @param tos differentiated services and ECN
   * @returns false when the ring was full: the packet is not sent, and the buffer was released
   */
  send(buffer: PacketBuffer, protocol: number, destination: number, length: number, tos: number): boolean;
  /**
   * Writes the IP header of a packet for {@link push}, with "don't fragment".
   * @param offset of the packet
   * @param length bytes of the payload
   */
  writeHeader(offset: number, protocol: number, destination: number, length: number, tos: number): void;
  /** As {@link send}, of a packet whose IP header and length are set. */
  push(buffer: PacketBuffer, destination: number): boolean;
  /** Longest packet to a destination, in bytes, IP header included. */
  pathMtu(destination: number): number;
  /** Lowers {@link pathMtu} of a destination. */
  reduceMtu(destination: number, mtu: number): boolean;
}
