/**
 * tspmd/wire: header formats for stacks. Each protocol has field offsets, readers, checks, and writers with checksums.
 *
 * A function that reads or writes single fields takes the bytes (`core.memory.u8`). A function that computes a checksum
 * takes the whole memory (`core.memory`). Both take the offset of the header's first byte: `packet.offset` is that of
 * the IP header. None allocates per packet. Only the functions whose names begin with `is` check anything: call them
 * first.
 *
 * @example Answers an ICMP echo request in the buffer that it came in:
 * const { u8 } = core.memory;
 * const ip = packet.offset;
 * const icmp = ip + ipv4HeaderLength(u8, ip);
 * const length = packet.length - (icmp - ip);
 * if (isIcmpIntact(core.memory, icmp, length) && icmpType(u8, icmp) === ICMP_ECHO_REQUEST) {
 *   makeIcmpEchoReply(u8, icmp);
 *   swapIpv4Addresses(u8, ip);
 *   setIpv4Ttl(u8, ip, IPV4_DEFAULT_TTL);
 *   if (!core.addBufferToRing(packet)) core.release(packet);
 * }
 *
 * @module tspmd/wire
 */
export * from './address.js';
export * from './arp.js';
export { readI32, readU16, writeI32, writeU16 } from './bytes.js';
export * from './checksum.js';
export * from './ethernet.js';
export * from './icmp.js';
export * from './ipv4.js';
export * from './ipv6.js';
export * from './memory.js';
export * from './tcp.js';
export * from './udp.js';
