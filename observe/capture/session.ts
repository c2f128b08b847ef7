/**
 * One capture, in the thread of the observer: reads the rings of all threads and sends pcapng to whoever has asked, as long as
 * that one reads. When nobody reads, the rings fill, and copies are lost; packets never are.
 *
 * On the socket: a line of JSON `{"pcapng":N}` and N bytes, again and again; at the end `{"done":{…}}`. Anything that comes from
 * the other side ends the capture in good order.
 */
import type { Socket } from 'node:net';
import type { RecordReader } from '../../rings/record-ring.js';
import { timeNow } from '../thread/messages.js';
import { MergedRings, timeOf } from './merge.js';
import { PacketBlocks } from './packet-blocks.js';
import { interfaceBlock, sectionBlock, statisticsBlock } from './pcapng.js';
import type { CaptureRequest } from './request.js';
import { directionOf, interfaceOf, NO_REASON } from './sink.js';

/** How often the rings are looked at, in ms. */
const LOOK_MS = 10;
/** How old a record must be, in ms: until then, an older one may come in another ring. */
const SETTLED_MS = 1;
/** At the end, what came until then is still sent, as far as the other side takes it within this time, in ms. */
const REST_MS = 500;

/** What the main thread returns when it has begun a capture. */
export interface OpenedCapture {
  readonly rings: readonly SharedArrayBuffer[];
  /** By their numbers. */
  readonly interfaces: readonly { readonly name: string; readonly description: string }[];
  /** What the number of a reason means. */
  readonly reasons: readonly string[];
}

/** What a capture was, at its end. */
export interface CaptureSummary {
  /** Packets that were sent to whoever asked. */
  readonly packets: number;
  /** Packets that were lost because that one was too slow. */
  readonly lost: number;
}

export class CaptureSession {
  private readonly rings: MergedRings;
  private readonly blocks = new PacketBlocks();
  private readonly comments: readonly Buffer[];
  /** Packets of each interface. */
  private readonly counts: number[];
  private packets = 0;
  /** Packets that came until the end, and that the other side did not take in time. */
  private left = 0;
  private isOver = false;
  private wakeUp: () => void = () => {};

  constructor(
    private readonly socket: Socket,
    private readonly wanted: CaptureRequest,
    private readonly opened: OpenedCapture,
    private readonly application: string,
  ) {
    this.rings = new MergedRings(opened.rings);
    this.comments = opened.reasons.map((reason) => Buffer.from(reason, 'utf8'));
    this.counts = opened.interfaces.map(() => 0);
  }

  /** Ends the capture in good order: what came until now is still sent. */
  readonly end = (): void => {
    this.isOver = true;
    this.wakeUp();
  };

  /**
   * Sends what comes, until the capture is over or the other side has gone.
   * @param close ends the capture in the threads with the packets
   */
  async run(close: () => Promise<unknown>): Promise<void> {
    const { socket, wanted } = this;
    socket.on('data', this.end);
    socket.on('close', this.end);
    if (socket.destroyed) this.end();
    socket.resume();
    const timer = wanted.duration > 0 ? setTimeout(this.end, wanted.duration * 1000) : undefined;
    this.send(this.head());
    while (!this.isOver) {
      const isMore = this.drain(timeNow() - SETTLED_MS);
      if (socket.writableNeedDrain) await this.drained();
      else if (!isMore) await this.pause();
    }
    clearTimeout(timer);
    await close().catch(() => {});
    await this.sendRest();
    this.send(this.statistics());
    const summary: CaptureSummary = { packets: this.packets, lost: this.lost };
    if (!socket.destroyed) socket.write(`${JSON.stringify({ done: summary })}\n`);
  }

  /** Sends a piece of what the rings have. Returns whether they may have more. */
  private drain(until: number): boolean {
    const { rings, blocks } = this;
    let isMore = false;
    if (!this.isCounted) {
      rings.read(until, (record) => {
        this.add(record);
        isMore = blocks.isFull && !this.isCounted;
        return !blocks.isFull && !this.isCounted;
      });
    }
    if (!blocks.isEmpty) this.send(blocks.take());
    if (this.isCounted) this.end();
    return isMore;
  }

  /** Sends what came until now. A reader that reads too slowly, or nothing any more, does not get all of it. */
  private async sendRest(): Promise<void> {
    const { socket } = this;
    const until = timeNow();
    for (let isMore = true; isMore && !socket.destroyed; ) {
      if (socket.writableNeedDrain) await this.drained(Math.max(until + REST_MS - timeNow(), 0));
      if (socket.writableNeedDrain) break;
      isMore = this.drain(until);
    }
    if (this.isCounted) return;
    this.rings.read(until, () => {
      this.left++;
      return true;
    });
  }

  private get lost(): number {
    return this.rings.lost + this.left;
  }

  /** Whether there are as many packets as were asked for. */
  private get isCounted(): boolean {
    return this.wanted.count > 0 && this.packets >= this.wanted.count;
  }

  private add(record: RecordReader): void {
    const { tag, reason, length, kept, at, views } = record;
    const number = interfaceOf(tag);
    const comment = reason === NO_REASON ? NO_COMMENT : (this.comments[reason] ?? NO_COMMENT);
    this.blocks.add({
      ...{ interface: number, time: timeOf(record), direction: directionOf(tag) },
      ...{ u8: views.u8, at, kept, length, comment },
    });
    this.packets++;
    this.counts[number]++;
  }

  private head(): Buffer {
    const { snaplen, filter } = this.wanted;
    const interfaces = this.opened.interfaces.map((about) => interfaceBlock({ ...about, snaplen, filter }));
    return Buffer.concat([sectionBlock(this.application), ...interfaces]);
  }

  private statistics(): Buffer {
    const now = timeNow();
    const time = { seconds: Math.floor(now / 1000), nanoseconds: Math.floor((now % 1000) * 1e6) };
    const isOnly = this.counts.length === 1;
    const { lost } = this;
    const { seen } = this.rings;
    const blocks = this.counts.map((count, number) => {
      const totals = isOnly ? { received: seen, lost } : { received: count, lost: null };
      return statisticsBlock({ interface: number, time, ...totals });
    });
    return Buffer.concat(blocks);
  }

  private send(bytes: Buffer): void {
    const { socket } = this;
    if (socket.destroyed) return;
    socket.write(`${JSON.stringify({ pcapng: bytes.length })}\n`);
    socket.write(bytes);
  }

  /** Resolves at the next look at the rings, or when the capture is over. */
  private pause(): Promise<void> {
    if (this.isOver) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, LOOK_MS);
      this.wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Resolves when the socket takes more; or when the capture is over, for whose end there may be some ms more. */
  private drained(ms?: number): Promise<void> {
    if (this.isOver && ms === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const { socket } = this;
      const timer = ms === undefined ? undefined : setTimeout(() => this.wakeUp(), ms);
      this.wakeUp = () => {
        clearTimeout(timer);
        socket.off('drain', this.wakeUp);
        resolve();
      };
      socket.once('drain', this.wakeUp);
    });
  }
}

const NO_COMMENT = Buffer.alloc(0);
