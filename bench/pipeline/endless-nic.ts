/**
 * A NIC in memory that costs almost nothing and always has packets: UDP datagrams of any number of flows. The flow of the
 * next packet is a stride further on.
 */
import { FRAME_OFFSET } from '../../rings/buffer-pool.js';
import type { FlowTuple } from '../../src/rss/rss.js';
import { ETH_HEADER_BYTES, ETHERTYPE_IPV4_WORD, macWords, writeEthSourceAndType } from '../../src/wire/ethernet.js';
import {
  IP_PROTOCOL_UDP,
  IPV4_DESTINATION,
  IPV4_HEADER_BYTES,
  IPV4_SOURCE,
  writeIpv4Header,
} from '../../src/wire/ipv4.js';
import { writeUdpHeader } from '../../src/wire/udp.js';
import { MemoryNic, type MemoryNicOptions, memoryBytes, viewsOf } from '../common/memory-nic.js';
import { GATEWAY, STATION } from './network.js';

const FRAME_BYTES = 60;
const DISCARD_PORT = 9;
/** Places of the frame's 32-bit words in a buffer. The MAC addresses begin two bytes before the first one. */
const MACS_AT = (FRAME_OFFSET + 2) >>> 2;
const SOURCE_AT = (FRAME_OFFSET + ETH_HEADER_BYTES + IPV4_SOURCE) >>> 2;
const DESTINATION_AT = (FRAME_OFFSET + ETH_HEADER_BYTES + IPV4_DESTINATION) >>> 2;
const PORTS_AT = (FRAME_OFFSET + ETH_HEADER_BYTES + IPV4_HEADER_BYTES) >>> 2;
/** 172.16/16 as the first bytes of a memory word. It is not on the link, so answers go to the gateway. */
const SOURCE_NET = 0x10ac;
/** The stride is this part of the flows (the golden ratio). */
const STRIDE = 0.6180339887;

export interface EndlessOptions extends MemoryNicOptions {
  readonly flows: number;
  /** After this many packets the sequence of flows begins again. A multiple of the burst. */
  readonly period: number;
  /** Memory for the buffers. Default: new memory. */
  readonly memory?: SharedArrayBuffer;
}

/** Return the source address and the ports of a flow as memory words. */
const sourceOf = (flow: number): number => (flow << 16) | SOURCE_NET;
const portsOf = (flow: number): number => (DISCARD_PORT << 24) | ((Math.imul(flow, 40503) + (flow >>> 16)) & 0xffff);

/** Returns a flow as soft RSS takes it. */
export function flowOf(flow: number): FlowTuple {
  const address = sourceOf(flow);
  const ports = portsOf(flow);
  const source = ((address & 0xff) << 24) | ((address & 0xff00) << 8) | ((address >>> 8) & 0xff00) | (address >>> 24);
  const [sourcePort, destinationPort] = [((ports & 0xff) << 8) | ((ports >>> 8) & 0xff), DISCARD_PORT];
  return { protocol: IP_PROTOCOL_UDP, source, destination: STATION.address, sourcePort, destinationPort };
}

/** Returns the distance from the flow of a packet to that of the next packet. It is prime to the number of flows. */
export function strideOf(flows: number): number {
  let stride = Math.max(1, Math.floor(flows * STRIDE));
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  while (divisor(stride, flows) !== 1) stride++;
  return flows === 1 ? 0 : stride;
}

export class EndlessNic extends MemoryNic {
  readonly name = 'endless';
  /** Numbers of packets that were received and sent. */
  received = 0;
  transmitted = 0;
  private flow = 0;
  private readonly flows: number;
  private readonly period: number;
  private readonly stride: number;
  private readonly first16: number;
  private readonly macs: Uint32Array;
  private readonly destination: number;

  constructor({ flows, period, memory, ...options }: EndlessOptions) {
    super(viewsOf(memory ?? new SharedArrayBuffer(memoryBytes(options.buffers))), STATION.mac, options);
    this.period = period;
    this.flows = flows;
    this.stride = strideOf(flows);
    for (let handle = 0; handle < options.rxBuffers; handle++)
      this.writeFrame(this.pool.offsetOf(handle) + FRAME_OFFSET);
    const { u16, u32 } = this.memory;
    this.first16 = u16[FRAME_OFFSET >>> 1];
    this.macs = u32.slice(MACS_AT, MACS_AT + 3);
    this.destination = u32[DESTINATION_AT];
  }

  rxBurst(max: number): number {
    const { rxHandles: handles, rxLengths: lengths } = this;
    const { pool, ring, mask, flows, stride } = this;
    const count = Math.min(max, this.fill());
    let flow = this.flow;
    for (let i = 0; i < count; i++) {
      const handle = ring[(this.head + i) & mask];
      handles[i] = handle;
      lengths[i] = FRAME_BYTES;
      this.receive(pool.offsetOf(handle), flow);
      flow += stride;
      if (flow >= flows) flow -= flows;
    }
    this.received += count;
    this.flow = this.received % this.period === 0 ? 0 : flow;
    this.take(count);
    return count;
  }

  txBurst(handles: Uint32Array, _lengths: Uint32Array, count: number): number {
    const { sent } = this;
    for (let i = 0; i < count; i++) sent.put(handles[i]);
    this.transmitted += count;
    return count;
  }

  /** Writes the addresses and ports, which the stack has changed in its answer. */
  private receive(offset: number, flow: number): void {
    const { u16, u32 } = this.memory;
    const { macs } = this;
    const at = offset >>> 2;
    u16[(offset + FRAME_OFFSET) >>> 1] = this.first16;
    u32[at + MACS_AT] = macs[0];
    u32[at + MACS_AT + 1] = macs[1];
    u32[at + MACS_AT + 2] = macs[2];
    u32[at + SOURCE_AT] = sourceOf(flow);
    u32[at + DESTINATION_AT] = this.destination;
    u32[at + PORTS_AT] = portsOf(flow);
  }

  private writeFrame(frame: number): void {
    const { memory } = this;
    const ip = frame + ETH_HEADER_BYTES;
    memory.u16.set(macWords(STATION.mac), frame >>> 1);
    writeEthSourceAndType(memory.u16, frame, macWords(GATEWAY.mac), ETHERTYPE_IPV4_WORD);
    writeIpv4Header(memory, ip, FRAME_BYTES - ETH_HEADER_BYTES, IP_PROTOCOL_UDP, GATEWAY.address, STATION.address);
    const udp = ip + IPV4_HEADER_BYTES;
    writeUdpHeader(memory, ip, udp, frame + FRAME_BYTES - udp, DISCARD_PORT, DISCARD_PORT);
  }
}
