/** Sending datagrams: copies the payload once, into the packet, and writes the header with its checksum. */
import { type Copy, copierFor, type MemoryViews } from '../../../drivers/memory/index.js';
import { OFFLOAD_CSUM } from '../../../drivers/offloads.js';
import type { Core } from '../../link/core.js';
import type { PacketBuffer } from '../../link/packet-buffer.js';
import { writeI32, writeU16 } from '../../wire/bytes.js';
import {
  IP_PROTOCOL_UDP,
  IPV4_DESTINATION,
  IPV4_HEADER_BYTES,
  IPV4_SOURCE,
  ipv4PseudoHeaderSum,
} from '../../wire/ipv4.js';
import {
  UDP_CHECKSUM,
  UDP_DESTINATION_PORT,
  UDP_HEADER_BYTES,
  UDP_LENGTH,
  UDP_SOURCE_PORT,
  writeUdpHeader,
} from '../../wire/udp.js';
import type { Ip } from '../ip/ip.js';
import { ownMemory } from '../ip/own-memory.js';

/** The longest payload: an IP packet has 65,535 bytes. */
export const MAX_PAYLOAD = 0xffff - IPV4_HEADER_BYTES - UDP_HEADER_BYTES;
/** Up to this length a loop is faster than `set`, which needs a view of the bytes. */
const LOOP_BYTES = 128;
const SCRATCH_BYTES = 0x10000;

export class UdpOutput {
  private readonly copy: Copy;
  /** Where a datagram that is longer than a packet is put together; made when there is one. */
  private scratch: MemoryViews | null = null;

  constructor(
    private readonly core: Core,
    private readonly ip: Ip,
  ) {
    this.copy = copierFor(core.memory);
  }

  /** Sends a datagram whose arguments were checked. Returns false when no buffer was free or the ring was full. */
  send(bytes: Uint8Array, offset: number, length: number, localPort: number, address: number, port: number): boolean {
    const { ip } = this;
    const total = UDP_HEADER_BYTES + length;
    if (IPV4_HEADER_BYTES + total > ip.pathMtu(address)) {
      return this.sendLong(bytes, offset, length, localPort, address, port);
    }
    const buffer = ip.begin();
    if (buffer === null) return false;
    const { memory } = this.core;
    const header = buffer.offset;
    const to = header + IPV4_HEADER_BYTES + UDP_HEADER_BYTES;
    if (bytes === memory.u8) this.copy(to, offset, length);
    else copyIn(memory.u8, to, bytes, offset, length);
    if ((ip.offloads & OFFLOAD_CSUM) !== 0) this.writePartialHeader(buffer, total, localPort, address, port);
    else this.writeHeader(memory, header, total, localPort, address, port);
    return ip.send(buffer, IP_PROTOCOL_UDP, address, total);
  }

  private sendLong(
    bytes: Uint8Array,
    offset: number,
    length: number,
    localPort: number,
    address: number,
    port: number,
  ): boolean {
    this.scratch ??= ownMemory(SCRATCH_BYTES);
    const memory = this.scratch;
    const total = UDP_HEADER_BYTES + length;
    copyIn(memory.u8, IPV4_HEADER_BYTES + UDP_HEADER_BYTES, bytes, offset, length);
    this.writeHeader(memory, 0, total, localPort, address, port);
    return this.ip.sendFrom(memory, IPV4_HEADER_BYTES, total, IP_PROTOCOL_UDP, address);
  }

  /** Writes the header, and leaves the checksum to the device: the field has the sum of the pseudo header. */
  private writePartialHeader(
    buffer: PacketBuffer,
    total: number,
    localPort: number,
    address: number,
    port: number,
  ): void {
    const { u8 } = this.core.memory;
    const ip = buffer.offset;
    const udp = ip + IPV4_HEADER_BYTES;
    this.writeAddresses(u8, ip, address);
    writeU16(u8, udp + UDP_SOURCE_PORT, localPort);
    writeU16(u8, udp + UDP_DESTINATION_PORT, port);
    writeU16(u8, udp + UDP_LENGTH, total);
    writeU16(u8, udp + UDP_CHECKSUM, ipv4PseudoHeaderSum(u8, ip, IP_PROTOCOL_UDP, total));
    buffer.requestChecksum(IPV4_HEADER_BYTES, UDP_CHECKSUM);
  }

  private writeHeader(
    memory: MemoryViews,
    ip: number,
    total: number,
    localPort: number,
    address: number,
    port: number,
  ): void {
    this.writeAddresses(memory.u8, ip, address);
    writeUdpHeader(memory, ip, ip + IPV4_HEADER_BYTES, total, localPort, port);
  }

  /** The checksum covers the addresses, and the IP header is written afterwards. */
  private writeAddresses(u8: Uint8Array, ip: number, address: number): void {
    writeI32(u8, ip + IPV4_SOURCE, this.ip.own.address);
    writeI32(u8, ip + IPV4_DESTINATION, address);
  }
}

function copyIn(to: Uint8Array, at: number, bytes: Uint8Array, offset: number, length: number): void {
  if (length <= LOOP_BYTES) for (let i = 0; i < length; i++) to[at + i] = bytes[offset + i];
  else to.set(length === bytes.length ? bytes : bytes.subarray(offset, offset + length), at);
}
