/** What IP hands to TCP and UDP. */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import type { PacketBuffer } from '../../link/packet-buffer.js';

/** A protocol above IP. Nothing that it is given may be kept: all bytes are valid during the call only. */
export interface TransportProtocol {
  /**
   * Takes a received datagram, whole, with a correct IP header. Nothing above IP was checked.
   * @param memory that holds it: that of the core, or that of the reassembler
   * @param ip offset of the IP header. Its options, if there are any, lie between it and `transport`
   * @param transport offset of the payload; a multiple of 4
   * @param length of the payload in bytes; may be 0
   * @param toUs whether it was sent to our address; false for a broadcast or multicast
   * @param packet that it came in, which tells what is known of the checksum; null when it was put together from
   * fragments. With TCP, bytes that have no room in the first part of the packet lie in the parts behind it; with other
   * protocols, all bytes lie at `transport`
   */
  receive(
    memory: MemoryViews,
    ip: number,
    transport: number,
    length: number,
    toUs: boolean,
    packet: PacketBuffer | null,
  ): void;

  /**
   * Takes an ICMP error about a packet that we seem to have sent. Anybody can forge it: compare what it quotes with
   * the state of a connection before you believe it (RFC 5927, 4.1).
   * @param type 3 (destination unreachable), 11 (time exceeded) or 12 (parameter problem)
   * @param code as the message has it
   * @param mtu with type 3, code 4: the MTU of the path that the message tells or implies, in bytes. Otherwise 0
   * @param quotedIp offset of the quoted IP header. Its source is our address
   * @param quotedLength bytes that are quoted from there: the header and at least 8 bytes of the payload
   */
  icmpError(type: number, code: number, mtu: number, memory: MemoryViews, quotedIp: number, quotedLength: number): void;
}
