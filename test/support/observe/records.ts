/** A capture of a test, and what it has got. */
import {
  type CaptureOrder,
  type CaptureWish,
  DIRECTION_IN,
  DIRECTION_OUT,
  directionOf,
  everyOf,
  interfaceOf,
} from '../../../observe/capture/sink.js';
import { makeRecordRing, RecordReader } from '../../../rings/record-ring.js';

/** The least that a ring may have. */
export const SMALL_RING = 2 ** 19;

/** A packet that was captured. */
export interface Captured {
  readonly direction: 'in' | 'out';
  readonly interface: number;
  readonly reason: number;
  /** Bytes of the packet; of these, `bytes` were kept. */
  readonly length: number;
  readonly bytes: readonly number[];
  /** How many packets it stands for. */
  readonly every: number;
}

/** Everything, in both directions, unless the fields say otherwise. */
export function wishFor(fields: Partial<CaptureWish> = {}): CaptureWish {
  const directions = DIRECTION_IN | DIRECTION_OUT;
  return { id: 1, filter: '', directions, drops: false, snaplen: 0, port: null, ...fields };
}

export class TestCapture {
  readonly order: CaptureOrder;
  readonly reader: RecordReader;

  constructor(fields: Partial<CaptureWish> = {}, ring: SharedArrayBuffer = makeRecordRing(SMALL_RING)) {
    this.order = { ...wishFor(fields), ring };
    this.reader = new RecordReader(ring);
  }

  /** What has come since the last call. */
  take(): Captured[] {
    const { reader } = this;
    const found: Captured[] = [];
    for (; reader.peek(); reader.release()) {
      const { tag, reason, length, at, kept, views } = reader;
      found.push({
        ...{ direction: directionOf(tag) === DIRECTION_IN ? 'in' : 'out', interface: interfaceOf(tag) },
        ...{ reason, length, bytes: [...views.u8.subarray(at, at + kept)], every: everyOf(tag) },
      });
    }
    return found;
  }
}
