/**
 * A ring of records of any length, from one writer to one reader, in a SharedArrayBuffer of its own: copies of packets for
 * those who capture. A record that finds no room is lost and counted: the writer never waits.
 *
 * Memory: 384 bytes of control words, then the records. Positions run freely through 32 bits. A record does not wrap: one
 * that would begins at the front again, and leaves a mark where it would have begun.
 */

/** Distance in bytes between words that different threads write: two cache lines. */
const LINE_BYTES = 128;
const CONTROL_BYTES = 3 * LINE_BYTES;
// Written by the reader, in words. The writer reads the second one per burst, and the reader writes the first one per record.
const HEAD = 0;
const EVERY = (2 * LINE_BYTES) / 4;
// Written by the writer: the tail in words, the others in numbers of 8 bytes.
const TAIL = LINE_BYTES / 4;
const LOST = LINE_BYTES / 8 + 1;
const SEEN = LINE_BYTES / 8 + 2;
const ORIGIN = LINE_BYTES / 8 + 3;

/** Bytes of the header of a record. */
const HEADER_BYTES = 32;
// Its words; the time is a number of 8 bytes.
const SIZE = 0;
const TAG = 1;
const REASON = 2;
const LENGTH = 3;
const TIME = 2;
const KEPT = 6;
const PAD = 7;
/** {@link SIZE} of a mark: the next record is at the front. */
const TO_FRONT = -1;

/** The longest record that every ring takes, without its header: a frame of 64 KiB. */
const MAX_KEPT = 65_600;
const MIN_BYTES = 4 * (MAX_KEPT + HEADER_BYTES);
/** Bytes of a ring for one capture of one thread: some 3000 frames of 1500 bytes. */
export const RING_BYTES = 2 ** 22;

/** @param bytes for records: a power of two */
export function makeRecordRing(bytes: number): SharedArrayBuffer {
  if (!(bytes >= MIN_BYTES && Number.isInteger(Math.log2(bytes)) && bytes <= 2 ** 30))
    throw new RangeError(`record ring of ${bytes} bytes: it must be a power of two from ${MIN_BYTES} to 2^30`);
  const buffer = new SharedArrayBuffer(CONTROL_BYTES + bytes);
  new Int32Array(buffer)[EVERY] = 1;
  return buffer;
}

/** Both ends of a ring. */
abstract class RecordRingEnd {
  /** The whole memory. A plain object: functions that copy between memories see one shape (docs/v8.md, "One shape"). */
  readonly views: { readonly u8: Uint8Array; readonly u16: Uint16Array; readonly u32: Uint32Array };
  protected readonly words: Int32Array;
  protected readonly numbers: Float64Array;
  protected readonly capacity: number;
  protected readonly mask: number;

  constructor(buffer: SharedArrayBuffer) {
    this.views = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
    this.words = new Int32Array(buffer);
    this.numbers = new Float64Array(buffer);
    this.capacity = buffer.byteLength - CONTROL_BYTES;
    this.mask = this.capacity - 1;
  }
}

export class RecordWriter extends RecordRingEnd {
  private tail: number;
  /** The tail that the reader sees. */
  private shown: number;
  private headSeen: number;

  /** @param origin what the times of the records count from, in ms since 1970 */
  constructor(buffer: SharedArrayBuffer, origin: number) {
    super(buffer);
    this.tail = this.shown = Atomics.load(this.words, TAIL);
    this.headSeen = Atomics.load(this.words, HEAD);
    this.numbers[ORIGIN] = origin;
  }

  /** The reader wants one packet of this many. */
  get every(): number {
    return this.words[EVERY];
  }

  /** Counts a packet that the reader wants, lost or not. */
  see(): void {
    this.numbers[SEEN]++;
  }

  /**
   * Makes room for a record, which {@link publish} shows to the reader.
   * @param time in ms from the origin
   * @param kept how many bytes of the packet the caller will copy: at most 65,600
   * @param alignment where these bytes lie, so that they lie at the same place modulo 8 in the ring
   * @returns where in the memory to copy them to, or -1: there is no room
   */
  reserve(tag: number, reason: number, length: number, time: number, kept: number, alignment: number): number {
    const { words, capacity } = this;
    const pad = alignment & 7;
    const size = (HEADER_BYTES + pad + kept + 7) & ~7;
    const at = this.tail & this.mask;
    const toEnd = capacity - at;
    const needed = size <= toEnd ? size : toEnd + size;
    if (needed > capacity - ((this.tail - this.headSeen) | 0)) {
      this.headSeen = Atomics.load(words, HEAD);
      if (needed > capacity - ((this.tail - this.headSeen) | 0)) {
        this.numbers[LOST]++;
        return -1;
      }
    }
    let begin = CONTROL_BYTES + at;
    if (size > toEnd) {
      words[begin >>> 2] = TO_FRONT;
      begin = CONTROL_BYTES;
    }
    this.tail = (this.tail + needed) | 0;
    const word = begin >>> 2;
    words[word + SIZE] = size;
    words[word + TAG] = tag;
    words[word + REASON] = reason;
    words[word + LENGTH] = length;
    this.numbers[(begin >>> 3) + TIME] = time;
    words[word + KEPT] = kept;
    words[word + PAD] = pad;
    return begin + HEADER_BYTES + pad;
  }

  /** Shows all records until now to the reader. */
  publish(): void {
    if (this.shown === this.tail) return;
    this.shown = this.tail;
    Atomics.store(this.words, TAIL, this.tail);
  }
}

export class RecordReader extends RecordRingEnd {
  // The record that `next` has found.
  tag = 0;
  reason = 0;
  length = 0;
  /** In ms from {@link origin}. */
  time = 0;
  /** Where the bytes that were kept begin in {@link views}, and how many they are. */
  at = 0;
  kept = 0;
  private head: number;

  constructor(buffer: SharedArrayBuffer) {
    super(buffer);
    this.head = Atomics.load(this.words, HEAD);
  }

  /** What times count from, in ms since 1970. */
  get origin(): number {
    return this.numbers[ORIGIN];
  }

  /** Packets that the writer had no room for. */
  get lost(): number {
    return this.numbers[LOST];
  }

  /** Packets that the writer has found, those that were lost among them. */
  get seen(): number {
    return this.numbers[SEEN];
  }

  /** Asks for one packet of `every`, from now on. */
  sample(every: number): void {
    Atomics.store(this.words, EVERY, every);
  }

  /** Whether there is a record: its fields and bytes are valid until {@link release}. */
  peek(): boolean {
    const { words } = this;
    if (Atomics.load(words, TAIL) === this.head) return false;
    let begin = CONTROL_BYTES + (this.head & this.mask);
    if (words[begin >>> 2] === TO_FRONT) {
      this.head = (this.head + this.capacity - (this.head & this.mask)) | 0;
      begin = CONTROL_BYTES;
    }
    const word = begin >>> 2;
    this.tag = words[word + TAG];
    this.reason = words[word + REASON];
    this.length = words[word + LENGTH];
    this.time = this.numbers[(begin >>> 3) + TIME];
    this.kept = words[word + KEPT];
    this.at = begin + HEADER_BYTES + words[word + PAD];
    return true;
  }

  /** Gives the room of the record that {@link peek} found back to the writer. */
  release(): void {
    const size = this.words[(CONTROL_BYTES + (this.head & this.mask)) >>> 2];
    this.head = (this.head + size) | 0;
    Atomics.store(this.words, HEAD, this.head);
  }
}
