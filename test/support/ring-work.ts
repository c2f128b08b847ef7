/** What the two threads of the ring test agree on. */
export interface RingWork {
  /** The ring lies at offset 0, the one that brings news back at `backOffset`; both have `capacity` pairs. */
  readonly buffer: SharedArrayBuffer;
  readonly capacity: number;
  readonly backOffset: number;
  readonly total: number;
  readonly burst: number;
}

export interface RingReport {
  readonly received: number;
  /** Empty when all was right. */
  readonly error: string;
}

export function lengthOf(handle: number): number {
  return Math.imul(handle, 0x85ebca6b) >>> 0;
}
