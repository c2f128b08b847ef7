/** The records of several rings, in the order of their times. */
import { RecordReader } from '../../rings/record-ring.js';
import type { CaptureTime } from './pcapng.js';

export class MergedRings {
  private readonly readers: readonly RecordReader[];

  constructor(rings: readonly SharedArrayBuffer[]) {
    this.readers = rings.map((ring) => new RecordReader(ring));
  }

  /** Packets that were lost because there was no room for them. */
  get lost(): number {
    return this.readers.reduce((sum, { lost }) => sum + lost, 0);
  }

  /** Packets that were found, those that were lost among them. */
  get seen(): number {
    return this.readers.reduce((sum, { seen }) => sum + seen, 0);
  }

  /** Asks for one burst of `every`, from now on. */
  sample(every: number): void {
    for (const reader of this.readers) reader.sample(every);
  }

  /**
   * Calls `take` with the next records, the oldest first, until it returns false or there is none from before `until`.
   * @param until in ms since 1970. A ring may get an older record than one of another ring for a moment, so it should be some
   * ms ago
   */
  read(until: number, take: (record: RecordReader) => boolean): void {
    for (let goesOn = true; goesOn; ) {
      const next = this.oldest();
      if (next === null || next.origin + next.time > until) return;
      goesOn = take(next);
      next.release();
    }
  }

  private oldest(): RecordReader | null {
    let oldest: RecordReader | null = null;
    let time = Number.POSITIVE_INFINITY;
    for (const reader of this.readers) {
      if (!reader.peek() || reader.origin + reader.time >= time) continue;
      oldest = reader;
      time = reader.origin + reader.time;
    }
    return oldest;
  }
}

/** The time of a record. Its two parts are added in ns: their sum in ms has no room for them. */
export function timeOf({ origin, time }: RecordReader): CaptureTime {
  const [originMs, timeMs] = [Math.floor(origin), Math.floor(time)];
  const nanoseconds = Math.round((origin - originMs + (time - timeMs)) * 1e6) + ((originMs + timeMs) % 1000) * 1e6;
  const carry = Math.floor(nanoseconds / 1e9);
  return { seconds: Math.floor((originMs + timeMs) / 1000) + carry, nanoseconds: nanoseconds - carry * 1e9 };
}
