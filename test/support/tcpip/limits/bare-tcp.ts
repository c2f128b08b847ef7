/**
 * TCP without IP and layer below it: the test hands over segments and gets those that are sent, in one memory. It costs
 * so little to make that each case of a fuzzer has its own.
 */
import type { MemoryViews } from '../../../../drivers/memory/index.js';
import type { PacketBuffer } from '../../../../src/link/packet-buffer.js';
import { Clock } from '../../../../src/tcpip/clock.js';
import { OwnAddress } from '../../../../src/tcpip/own-address.js';
import { RandomBytes } from '../../../../src/tcpip/random-bytes.js';
import type { TcpOptionsOfStack } from '../../../../src/tcpip/tcp/assemble.js';
import { Tcp } from '../../../../src/tcpip/tcp/tcp.js';
import { writeI32 } from '../../../../src/wire/bytes.js';
import { IP_PROTOCOL_TCP, IPV4_HEADER_BYTES, writeIpv4Header } from '../../../../src/wire/ipv4.js';
import { type SegmentFields, writeSegment } from './segment-fields.js';

/** Our address, 10.0.0.1. */
export const LOCAL = 0x0a000001;
const MTU = 1500;
const BUFFER_BYTES = 2048;
/** Where received packets are written, behind the buffers: the payload of IP is aligned as in a real buffer. */
const INPUT = 4 * BUFFER_BYTES;
const MEMORY_BYTES = INPUT + 2 * BUFFER_BYTES;
const MOST_ROUNDS = 10_000;

export class BareTcp {
  readonly tcp: Tcp;
  readonly memory: MemoryViews;
  /** Time in ms, with a fraction. */
  now: number;
  /** The options of the next segment, and its data. */
  readonly options = new Uint8Array(40);
  readonly payload = new Uint8Array(MTU);
  /** Called with each segment that is sent: its place in {@link memory}. Its IP header is not written. */
  onSegment: ((remote: number, tcp: number, length: number) => void) | null = null;
  /** Whether there is no buffer; whether the ring takes nothing. */
  hasNoBuffer = false;
  isBlocked = false;
  /** Segments that were sent. */
  sent = 0;
  private readonly pathMtus = new Map<number, number>();
  private readonly clock: Clock;
  private taken = 0;

  constructor(options: Partial<TcpOptionsOfStack> & { readonly seed: number; readonly now?: number }) {
    const { seed, now = 0, ...sizes } = options;
    this.now = now;
    this.clock = new Clock(() => this.now);
    const buffer = new ArrayBuffer(MEMORY_BYTES);
    this.memory = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
    const defaults = {
      ...{ maxConnections: 64, memory: 2 ** 24, maxSendBuffer: 2 ** 22, maxReceiveBuffer: 6 * 2 ** 20 },
      ...{ maxTimeWait: 64, timeWaitMs: 60_000 },
    };
    const packet = { offset: BUFFER_BYTES, length: 0 } as PacketBuffer;
    const ip = {
      offloads: 0,
      release: () => {
        this.taken--;
      },
      begin: () => {
        if (this.hasNoBuffer) return null;
        this.taken++;
        return packet;
      },
      send: (buffer: PacketBuffer, _protocol: number, remote: number, length: number) => {
        buffer.length = IPV4_HEADER_BYTES + length;
        return ip.push(buffer, remote);
      },
      writeHeader: () => {},
      push: (buffer: PacketBuffer, remote: number) => {
        this.taken--;
        if (this.isBlocked) return false;
        this.sent++;
        this.onSegment?.(remote, buffer.offset + IPV4_HEADER_BYTES, buffer.length - IPV4_HEADER_BYTES);
        return true;
      },
      pathMtu: (remote: number) => this.pathMtus.get(remote) ?? MTU,
      reduceMtu: (remote: number, mtu: number) => {
        this.pathMtus.set(remote, Math.min(this.pathMtus.get(remote) ?? MTU, Math.max(mtu, 68)));
        return true;
      },
    };
    this.tcp = new Tcp(
      {
        ...{
          clock: this.clock,
          memory: this.memory,
          ip,
          local: new OwnAddress(LOCAL),
          mtu: MTU,
          random: new RandomBytes(seed).take,
        },
        isPeer: (address) => address !== LOCAL && address !== 0,
        hasRoute: () => true,
        isOwnFlow: () => true,
        isDeferred: () => false,
        wake: () => {},
      },
      { ...defaults, ...sizes },
    );
  }

  /** Buffers that TCP has taken and not sent. */
  get held(): number {
    return this.taken;
  }

  /** TCP receives a segment, with a correct checksum. Call {@link poll} afterwards. */
  receive(fields: SegmentFields): void {
    const { memory } = this;
    const length = writeSegment(memory, INPUT, fields, this.options, this.payload, LOCAL);
    this.clock.read();
    this.tcp.begin();
    this.tcp.receive(memory, INPUT, INPUT + IPV4_HEADER_BYTES, length - IPV4_HEADER_BYTES, true, null);
  }

  /** TCP receives an ICMP error that quotes a segment of its own. */
  icmpError(type: number, code: number, mtu: number, remote: number, ports: number, seq: number): void {
    const { memory } = this;
    writeIpv4Header(memory, INPUT, IPV4_HEADER_BYTES + 8, IP_PROTOCOL_TCP, LOCAL, remote);
    writeI32(memory.u8, INPUT + IPV4_HEADER_BYTES, ports);
    writeI32(memory.u8, INPUT + IPV4_HEADER_BYTES + 4, seq);
    this.clock.read();
    this.tcp.begin();
    this.tcp.icmpError(type, code, mtu, memory, INPUT, IPV4_HEADER_BYTES + 8);
  }

  /** The end of a poll, until nothing is to be done at once. */
  poll(): void {
    this.clock.read();
    // A blocked ring is tried again with every poll.
    let rounds = this.isBlocked || this.hasNoBuffer ? 2 : MOST_ROUNDS;
    do this.tcp.finish();
    while (this.tcp.msToNext() === 0 && --rounds > 0);
    if (rounds === 0 && !this.isBlocked && !this.hasNoBuffer) throw new Error('TCP does not come to rest');
  }

  /** Lets time pass, in steps from timer to timer. */
  pass(ms: number): void {
    const end = this.now + ms;
    let steps = 0;
    while (this.now < end) {
      const left = end - this.now;
      // With a blocked ring, TCP would be polled for ever.
      const sleep = Math.max(this.isBlocked || this.hasNoBuffer ? 200 : 1, this.tcp.msToNext());
      this.now += Math.min(left, sleep);
      this.poll();
      if (++steps > 1_000_000) throw new Error('too many steps');
    }
  }
}
