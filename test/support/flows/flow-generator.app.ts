/**
 * The generator of the flow tests: many UDP flows at once, each with a window of datagrams that wait for their answer.
 * Checks that the answers of a flow come in order, once each, and from one core. Gives up on answers that do not come,
 * and reports their number. Prints a line after each `progress` answers, and at the end one line with the {@link
 * FlowResult}.
 */
import type { Core } from '../../../src/link/core.js';
import type { PacketBuffer } from '../../../src/link/packet-buffer.js';
import type { Stack, StackOptions } from '../../../src/stack.js';
import { parseIpv4 } from '../../../src/wire/address.js';
import { IP_PROTOCOL_UDP, IPV4_HEADER_BYTES, writeIpv4Header } from '../../../src/wire/ipv4.js';
import {
  isUdpIntact,
  UDP_HEADER_BYTES,
  udpDestinationPort,
  udpSourcePort,
  writeUdpHeader,
} from '../../../src/wire/udp.js';
import {
  coreOf,
  FIRST_PORT,
  flowOf,
  isFlowIntact,
  NONE,
  PAYLOAD_BYTES,
  REFLECTOR_PORT,
  sequenceOf,
  writeFlow,
} from './flow-packet.js';

export const PROGRESS_MARK = 'answered';
export const RESULT_MARK = 'flows:';

export interface FlowResult {
  sent: number;
  answered: number;
  /** Datagrams that were given up. */
  lost: number;
  /** Answers of a core that came after a later answer of it. */
  disorder: number;
  /** Answers that nothing waited for: duplicates, or after they were given up. */
  unexpected: number;
  corrupt: number;
  /** How often an answer of a flow came from another core than the answer before. */
  moved: number;
  /** How often, at most, datagrams of one flow were given up. */
  giveUps: number;
  /** Orders that were sent. */
  orders: number;
  /** Answers by core. */
  cores: number[];
}

const HEADERS = IPV4_HEADER_BYTES + UDP_HEADER_BYTES;
const MAX_CORES = 64;
const MAX_WINDOW = 32;
/** Sequence numbers of a flow whose state is remembered. */
const REMEMBERED = 2 * MAX_WINDOW;
const BURST = 32;

class Generator implements Stack {
  private readonly to: number;
  private readonly flows: number;
  private readonly window: number;
  private readonly packets: number;
  private readonly giveUpMs: number;
  private readonly progress: number;
  private readonly order: number;
  private readonly orderEvery: number;
  private ordersLeft: number;
  private readonly next: Int32Array;
  private readonly outstanding: Int32Array;
  private readonly heardAt: Float64Array;
  private readonly core: Int32Array;
  private readonly givenUp: Int32Array;
  /** Per flow and core, the last sequence number that was answered. */
  private readonly last: Int32Array;
  private readonly isWaitedFor: Uint8Array;
  private waiting = 0;
  private cursor = 0;
  private nextProgress: number;
  private nextOrder: number;
  private nextLook = 0;
  private isReported = false;
  private readonly result: FlowResult = {
    ...{ sent: 0, answered: 0, lost: 0, disorder: 0, unexpected: 0, corrupt: 0, moved: 0, giveUps: 0, orders: 0 },
    cores: [],
  };

  constructor(
    private readonly port: Core,
    options: StackOptions,
  ) {
    const number = (name: string, otherwise: number): number => Number(options[name] ?? otherwise);
    this.to = parseIpv4(String(options.to)) | 0;
    this.flows = number('flows', 64);
    this.window = Math.min(number('window', 4), MAX_WINDOW);
    this.packets = number('packets', 10_000);
    this.giveUpMs = number('give_up_ms', 3000);
    this.progress = number('progress', 5000);
    this.order = number('order', NONE);
    this.orderEvery = number('order_every', 5000);
    this.ordersLeft = this.order === NONE ? 0 : number('orders', 1);
    this.nextProgress = this.progress;
    this.nextOrder = this.orderEvery;
    this.next = new Int32Array(this.flows);
    this.outstanding = new Int32Array(this.flows);
    this.heardAt = new Float64Array(this.flows);
    this.core = new Int32Array(this.flows).fill(-1);
    this.givenUp = new Int32Array(this.flows);
    this.last = new Int32Array(this.flows * MAX_CORES).fill(-1);
    this.isWaitedFor = new Uint8Array(this.flows * REMEMBERED);
  }

  poll(): number {
    const count = this.port.getRxCount();
    for (let i = 0; i < count; i++) {
      const buffer = this.port.getBufferRx();
      if (buffer === null) break;
      this.take(buffer);
      this.port.release(buffer);
    }
    const now = performance.now();
    if (now >= this.nextLook) this.giveUp(now);
    const sent = this.send(now);
    this.tell();
    return count + sent;
  }

  /** A full ring does not report when it has room again, and datagrams must be given up in time. */
  maxSleepMs(): number {
    return this.isReported ? Number.POSITIVE_INFINITY : this.mayStart() ? 1 : 20;
  }

  /** Until the first answer, one datagram at a time: more of them would not wait for ARP. */
  private mayStart(): boolean {
    if (this.result.answered >= this.packets) return false;
    return this.waiting < (this.result.answered === 0 ? 1 : this.flows * this.window);
  }

  private send(now: number): number {
    let sent = 0;
    for (let tried = 0; tried < this.flows && sent < BURST && this.mayStart(); tried++) {
      const flow = this.cursor;
      this.cursor = flow + 1 === this.flows ? 0 : flow + 1;
      if (this.outstanding[flow]! >= this.window) continue;
      const isOrder = this.ordersLeft > 0 && this.result.answered >= this.nextOrder && this.core[flow] !== -1;
      if (!this.sendOne(flow, isOrder ? this.order : NONE)) break;
      if (isOrder) {
        this.ordersLeft--;
        this.result.orders++;
        this.nextOrder = this.result.answered + this.orderEvery;
      }
      if (this.outstanding[flow] === 1) this.heardAt[flow] = now;
      sent++;
    }
    return sent;
  }

  private sendOne(flow: number, order: number): boolean {
    const { port } = this;
    const buffer = port.getBufferTx();
    if (buffer === null) return false;
    const { memory } = port;
    const ip = buffer.offset;
    const sequence = this.next[flow]!;
    writeFlow(memory.u8, ip + HEADERS, order, flow, sequence);
    buffer.length = HEADERS + PAYLOAD_BYTES;
    writeIpv4Header(memory, ip, buffer.length, IP_PROTOCOL_UDP, port.address, this.to);
    const length = UDP_HEADER_BYTES + PAYLOAD_BYTES;
    writeUdpHeader(memory, ip, ip + IPV4_HEADER_BYTES, length, FIRST_PORT + flow, REFLECTOR_PORT);
    if (!port.addBufferToRing(buffer)) {
      port.release(buffer);
      return false;
    }
    this.next[flow] = sequence + 1;
    this.isWaitedFor[flow * REMEMBERED + (sequence % REMEMBERED)] = 1;
    this.outstanding[flow]!++;
    this.waiting++;
    this.result.sent++;
    return true;
  }

  private take({ offset: ip, length }: PacketBuffer): void {
    const { result } = this;
    const { memory } = this.port;
    const { u8 } = memory;
    const udp = ip + IPV4_HEADER_BYTES;
    const payload = ip + HEADERS;
    const flow = length === HEADERS + PAYLOAD_BYTES ? flowOf(u8, payload) : -1;
    if (
      !(flow >= 0 && flow < this.flows && isFlowIntact(u8, payload)) ||
      !isUdpIntact(memory, ip, udp, length - IPV4_HEADER_BYTES) ||
      udpSourcePort(u8, udp) !== REFLECTOR_PORT ||
      udpDestinationPort(u8, udp) !== FIRST_PORT + flow
    ) {
      result.corrupt++;
      return;
    }
    this.answered(flow, sequenceOf(u8, payload), coreOf(u8, payload));
  }

  private answered(flow: number, sequence: number, core: number): void {
    const { result } = this;
    const place = flow * REMEMBERED + (sequence % REMEMBERED);
    if (this.isWaitedFor[place] === 0) {
      result.unexpected++;
      return;
    }
    this.isWaitedFor[place] = 0;
    this.outstanding[flow]!--;
    this.waiting--;
    this.heardAt[flow] = performance.now();
    result.answered++;
    result.cores[core] = (result.cores[core] ?? 0) + 1;
    if (this.core[flow] !== core && this.core[flow] !== -1) result.moved++;
    this.core[flow] = core;
    const last = flow * MAX_CORES + core;
    if (sequence <= this.last[last]!) result.disorder++;
    this.last[last] = sequence;
  }

  private giveUp(now: number): void {
    this.nextLook = now + 10;
    const { result } = this;
    for (let flow = 0; flow < this.flows; flow++) {
      const missing = this.outstanding[flow]!;
      if (missing === 0 || now - this.heardAt[flow]! < this.giveUpMs) continue;
      result.lost += missing;
      result.giveUps = Math.max(result.giveUps, ++this.givenUp[flow]!);
      this.waiting -= missing;
      this.outstanding[flow] = 0;
      this.isWaitedFor.fill(0, flow * REMEMBERED, (flow + 1) * REMEMBERED);
    }
  }

  private tell(): void {
    const { result } = this;
    if (result.answered >= this.nextProgress) {
      this.nextProgress += this.progress;
      process.stdout.write(`${PROGRESS_MARK} ${result.answered}\n`);
    }
    if (this.isReported || result.answered < this.packets || this.waiting > 0) return;
    this.isReported = true;
    const cores = Array.from(result.cores, (count) => count ?? 0);
    process.stdout.write(`${RESULT_MARK} ${JSON.stringify({ ...result, cores })}\n`);
  }
}

/**
 * @param options `to` (address); `flows`, `window` (datagrams of a flow under way), `packets` (answers in all); `order`
 * (what every `order_every` answers a datagram tells its core), `orders` (how often); `give_up_ms`, `progress`
 */
export default function createGenerator(core: Core, options: StackOptions): Stack {
  return new Generator(core, options);
}
