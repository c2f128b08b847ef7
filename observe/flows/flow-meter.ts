/**
 * The largest flows of the last second. It captures the first bytes of packets, as a capture does; when there are many, it asks
 * for one burst of several, and counts each packet as often. It begins with the first question and ends when nobody asks any more.
 */
import type { RecordReader } from '../../rings/record-ring.js';
import type { Captures } from '../capture/captures.js';
import { MergedRings } from '../capture/merge.js';
import { DIRECTION_IN, DIRECTION_OUT, directionOf, everyOf, interfaceOf, MAX_EVERY } from '../capture/sink.js';
import { timeNow } from '../thread/messages.js';
import { type FlowEnds, flowEnds } from './flow-key.js';

/** How often the rings are read, in ms. */
const READ_MS = 100;
/** How long flows are counted before they are shown, in ms. */
const WINDOW_MS = 1000;
/** Without a question for so long, the measurement ends, in ms. */
const IDLE_MS = 5000;
/** After so long without a question it has certainly ended, in ms. */
export const FLOWS_END_MS = IDLE_MS + 2 * READ_MS;
/** Bytes of a packet: headers with two VLAN tags and IPv6, or IPv4 with all options. */
const SNAPLEN = 96;
/** Packets per look at the rings that are wanted: more cost the machine too much, fewer are too inexact. */
const MANY = 500;
const FEW = 100;
/** As many as are wanted when the number is changed. */
const WANTED = 250;
/** Of more packets than this in a look, those that come first stand for all. */
const MOST = 2000;
/** At first one burst of so many is asked for: to copy all packets of a busy port, even for a moment, costs it much. */
const FIRST_EVERY = 64;
/** The most flows that are told apart in a window; the packets of all others are left out, and counted. */
const MAX_FLOWS = 10_000;

export interface Flow extends FlowEnds {
  readonly interface: string;
  readonly direction: 'in' | 'out';
  readonly packetsPerSecond: number;
  readonly bytesPerSecond: number;
}

export interface Flows {
  /** How long these flows were counted. */
  readonly seconds: number;
  /** Whether only one burst of several was counted: small flows may be missing. */
  readonly sampled: boolean;
  /** Packets per second of flows beyond those that can be told apart. */
  readonly others: number;
  /** The largest first. */
  readonly flows: readonly Flow[];
}

interface Count {
  readonly ends: FlowEnds;
  readonly number: number;
  readonly direction: number;
  packets: number;
  bytes: number;
}

/** What was counted in a window. */
class FlowWindow {
  readonly counts = new Map<string, Count>();
  others = 0;
  sampled = false;
  /** Packets that were wanted, and of these those that found no room in the ring: the others stand for them. */
  found = 0;
  lost = 0;
  readonly begunAt = performance.now();
  seconds = 0;

  add({ tag, length, kept, at, views }: RecordReader): void {
    const every = everyOf(tag);
    const ends = flowEnds(views.u8, at, kept);
    const [number, direction] = [interfaceOf(tag), directionOf(tag)];
    const key = `${number} ${direction} ${ends.protocol} ${ends.source} ${ends.destination}`;
    let count = this.counts.get(key);
    if (count === undefined) {
      if (this.counts.size >= MAX_FLOWS) {
        this.others += every;
        return;
      }
      count = { ends, number, direction, packets: 0, bytes: 0 };
      this.counts.set(key, count);
    }
    count.packets += every;
    count.bytes += every * length;
    if (every > 1) this.sampled = true;
  }
}

/** A measurement that runs. */
interface Running {
  readonly id: number;
  readonly rings: MergedRings;
  readonly names: readonly string[];
  readonly timer: NodeJS.Timeout;
  every: number;
  /** What the rings had counted at the last look. */
  seen: number;
  lost: number;
  window: FlowWindow;
  last: FlowWindow | null;
}

export class FlowMeter {
  private running: Running | null = null;
  private starting: Promise<void> | null = null;
  private askedAt = 0;

  constructor(private readonly captures: Captures) {}

  /**
   * Returns the largest flows. The first answer has none: the measurement begins with it.
   * @throws (rejects) RequestError when the main thread does not answer
   */
  async largest(limit: number): Promise<Flows> {
    this.askedAt = performance.now();
    if (this.running === null) {
      this.starting ??= this.start().finally(() => {
        this.starting = null;
      });
      await this.starting;
    }
    const { last = null, names = [] } = this.running ?? {};
    if (last === null) return { seconds: 0, sampled: false, others: 0, flows: [] };
    const { seconds, found, lost } = last;
    const sampled = last.sampled || lost > 0;
    const perSecond = (lost < found ? found / (found - lost) : 1) / seconds;
    const all = [...last.counts.values()].sort((one, other) => other.bytes - one.bytes).slice(0, limit);
    const flows = all.map(({ ends, number, direction, packets, bytes }): Flow => {
      const where = { interface: names[number] ?? '', direction: direction === DIRECTION_IN ? 'in' : 'out' } as const;
      return { ...where, ...ends, packetsPerSecond: packets * perSecond, bytesPerSecond: bytes * perSecond };
    });
    return { seconds, sampled, others: last.others * perSecond, flows };
  }

  /** Ends the measurement. */
  async end(): Promise<void> {
    await this.starting?.catch(() => {});
    const { running } = this;
    this.running = null;
    if (running === null) return;
    clearInterval(running.timer);
    await this.captures.close(running.id);
  }

  private async start(): Promise<void> {
    const directions = DIRECTION_IN | DIRECTION_OUT;
    const { id, opened } = await this.captures.open({
      ...{ filter: '', directions, drops: false, snaplen: SNAPLEN, port: null },
    });
    const timer = setInterval(() => this.read(), READ_MS);
    const names = opened.interfaces.map(({ name }) => name);
    const rings = new MergedRings(opened.rings);
    rings.sample(FIRST_EVERY);
    this.running = {
      ...{ id, names, timer, rings },
      ...{ every: FIRST_EVERY, seen: 0, lost: 0, window: new FlowWindow(), last: null },
    };
  }

  private read(): void {
    const { running } = this;
    if (running === null) return;
    const now = performance.now();
    if (now - this.askedAt > IDLE_MS) {
      void this.end();
      return;
    }
    const { rings, window } = running;
    const { seen, lost } = rings;
    let read = 0;
    // What comes from now on is for the next look: threads that are busy must not keep this one here.
    rings.read(timeNow(), (record) => {
      if (++read <= MOST) window.add(record);
      return true;
    });
    window.lost += Math.max(0, read - MOST);
    const found = seen - running.seen;
    window.found += found;
    window.lost += lost - running.lost;
    running.seen = seen;
    running.lost = lost;
    this.adapt(running, found);
    if (now - window.begunAt < WINDOW_MS) return;
    window.seconds = (now - window.begunAt) / 1000;
    running.last = window;
    running.window = new FlowWindow();
  }

  /** @param found packets since the last look that were wanted, with those that found no room in the ring */
  private adapt(running: Running, found: number): void {
    const { every } = running;
    if (found >= FEW && found <= MANY) return;
    const next = Math.min(Math.max(Math.ceil((every * found) / WANTED), 1), MAX_EVERY);
    if (next === every) return;
    running.every = next;
    running.rings.sample(next);
    // Few packets that stand for many say little: the first window begins when the number fits.
    if (running.last === null) running.window = new FlowWindow();
  }
}
