/** What the two threads of the ring test agree on. */
export interface RingWork {
  /** The ring lies at offset 0, and the one that brings answers back at `backOffset`. Both have `capacity` places. */
  readonly buffer: SharedArrayBuffer;
  readonly capacity: number;
  readonly backOffset: number;
  readonly total: number;
  readonly burst: number;
  /** Whether the two sides are those for many rings. */
  readonly byFans: boolean;
}

export interface RingReport {
  readonly received: number;
  /** Empty when all was right. */
  readonly error: string;
}

/** A packet is known by its number: 16 bits of it are its handle, and the length is a hash of all bits. */
export const handleOf = (number: number): number => number & 0xffff;
export const lengthOf = (number: number): number => Math.imul(number, 0x85ebca6b) >>> 16;
