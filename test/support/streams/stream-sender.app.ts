/**
 * Sends the packets of the stream tests, each flow one packet after the other: the next one when all bytes of the last one
 * have come back, in whatever packets. Checks all that comes. Prints one line with its {@link StreamResult} per core.
 *
 * It works with layer `ip`, against stream-reflector.app.ts; stream-frames.app.ts is the same with layer `ethernet`, for
 * peers that send each frame back as it is.
 */
import type { Core } from '../../../src/link/core.js';
import type { Stack, StackOptions } from '../../../src/stack.js';
import { parseIpv4, parseMac } from '../../../src/wire/address.js';
import { StreamCheck } from './stream-check.js';
import { type MadeCounts, StreamMaker } from './stream-maker.js';
import { FIRST_PORT, MAX_FLOWS, MAX_PAYLOAD, STREAM_PORT } from './stream-packet.js';

export const RESULT_MARK = 'stream:';

/** With layer `ethernet` the first packets may be lost, because nothing tells when the peer is ready. So often they are sent. */
const KNOCK_MS = 100;

export interface StreamResult {
  readonly core: number;
  readonly made: MadeCounts;
  readonly came: StreamCheck['counts'];
  /** Bytes that were sent. */
  readonly sent: number;
  /** Bytes that did not come back, or only after a later packet of their flow. */
  readonly lost: number;
  /** Packets that came a second time, or after a later packet of their flow. */
  readonly disorder: number;
}

class StreamSender implements Stack {
  private readonly check: StreamCheck;
  private readonly maker: StreamMaker;
  private readonly flows: number[] = [];
  private readonly next = new Float64Array(MAX_FLOWS);
  private readonly expected = new Float64Array(MAX_FLOWS);
  /** When the packet of a flow was sent that is under way; 0: none is. */
  private readonly sentAt = new Float64Array(MAX_FLOWS);
  private readonly total: number;
  private readonly giveUpMs: number;
  private sent = 0;
  private lost = 0;
  private disorder = 0;
  private underWay = 0;
  private isReported = false;
  /** Until the first answer, with layer `ethernet`: the packets of the first flow are sent to see whether the peer is there. */
  private isKnocking: boolean;
  /** Where these packets end in the stream of the first flow. */
  private knockedTo = 0;

  constructor(
    private readonly core: Core,
    options: StackOptions,
  ) {
    const number = (name: string, otherwise: number): number => Number(options[name] ?? otherwise);
    const destination = parseIpv4(String(options.to)) | 0;
    const mac = parseMac(String(options.mac ?? 'ff:ff:ff:ff:ff:ff'));
    this.isKnocking = core.layer === 'ethernet';
    this.total = number('bytes', 10_000_000) / core.count;
    this.giveUpMs = number('give_up_ms', 3000);
    const longest = number('longest', MAX_PAYLOAD);
    const source = core.address | 0;
    this.maker = new StreamMaker(core, { source, destination, mac }, longest, number('seed', 1) + core.index);
    this.check = new StreamCheck(core);
    const wanted = number('flows', 12);
    for (let flow = 0; flow < MAX_FLOWS && this.flows.length < wanted; flow++) {
      if (this.comesBack(source, destination, FIRST_PORT + flow)) this.flows.push(flow);
    }
  }

  /** Whether what comes back of a flow comes to this core. */
  private comesBack(own: number, other: number, port: number): boolean {
    const { core } = this;
    if (core.layer === 'ethernet') return core.rssCoreForPorts(own, other, port, STREAM_PORT) === core.index;
    return core.rssCoreForPorts(other, own, STREAM_PORT, port) === core.index;
  }

  poll(): number {
    const { core } = this;
    const count = core.getRxCount();
    for (let i = 0; i < count; i++) {
      const packet = core.getBufferRx();
      if (packet === null) break;
      if (this.check.check(packet)) this.came(this.check.flow, this.check.place, this.check.bytes);
      core.release(packet);
    }
    const sent = this.send();
    this.giveUp();
    this.tell();
    return count + sent;
  }

  maxSleepMs(): number {
    return this.isReported ? Number.POSITIVE_INFINITY : 1;
  }

  private came(flow: number, place: number, bytes: number): void {
    if (this.isKnocking) {
      this.isKnocking = false;
      this.knockedTo = this.next[flow]!;
      this.expected[flow] = this.knockedTo;
      if (this.sentAt[flow] !== 0) this.isBack(flow);
    }
    // All answers to knocks, also the late ones.
    if (flow === this.flows[0] && place < this.knockedTo) return;
    const expected = this.expected[flow]!;
    if (this.sentAt[flow] === 0 || place < expected || place + bytes > this.next[flow]!) {
      this.disorder++;
      return;
    }
    this.lost += place - expected;
    this.expected[flow] = place + bytes;
    if (place + bytes === this.next[flow]) this.isBack(flow);
  }

  private isBack(flow: number): void {
    this.sentAt[flow] = 0;
    this.underWay--;
  }

  private send(): number {
    const { core, maker } = this;
    let count = 0;
    for (const flow of this.flows) {
      if (this.sentAt[flow] !== 0 || this.sent >= this.total) continue;
      // One packet until the first answer: more of them would not wait for ARP.
      if (this.check.counts.packets === 0 && this.underWay > 0) break;
      const place = this.next[flow]!;
      const packet = maker.make(flow, place);
      if (packet === null) break;
      const bytes = this.payloadOf(packet.totalLength, flow);
      if (!core.addBufferToRing(packet)) {
        core.release(packet);
        break;
      }
      this.next[flow] = place + bytes;
      this.sent += bytes;
      this.sentAt[flow] = performance.now();
      this.underWay++;
      count++;
    }
    return count;
  }

  private payloadOf(length: number, flow: number): number {
    return length - (this.core.layer === 'ethernet' ? 14 : 0) - ((flow & 1) === 0 ? 40 : 28);
  }

  private giveUp(): void {
    const now = performance.now();
    for (const flow of this.flows) {
      const at = this.sentAt[flow]!;
      if (at === 0 || now - at < (this.isKnocking ? KNOCK_MS : this.giveUpMs)) continue;
      if (!this.isKnocking) this.lost += this.next[flow]! - this.expected[flow]!;
      this.expected[flow] = this.next[flow]!;
      this.isBack(flow);
    }
  }

  private tell(): void {
    if (this.isReported || this.sent < this.total || this.underWay > 0) return;
    this.isReported = true;
    const { sent, lost, disorder } = this;
    const made = this.maker.counts;
    const result: StreamResult = { core: this.core.index, made, came: this.check.counts, sent, lost, disorder };
    process.stdout.write(`${RESULT_MARK} ${JSON.stringify(result)}\n`);
  }
}

/**
 * @param options `to` (address), `mac` (with layer `ethernet`: of the destination), `flows` and `bytes` (of all cores),
 * `longest` (payload of a packet to be segmented; 0: none), `seed`, `give_up_ms`
 */
export default function createSender(core: Core, options: StackOptions): Stack {
  return new StreamSender(core, options);
}
