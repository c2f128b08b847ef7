/** What the two threads of the ring test agree on. */
export interface RingWork {
  /** The ring lies at offset 0. */
  readonly buffer: SharedArrayBuffer;
  readonly capacity: number;
  readonly total: number;
  readonly burst: number;
  /** Whether the threads use the sides for many rings: `SpscFanOut` and `SpscFanIn`. */
  readonly byFans: boolean;
}

export interface RingReport {
  readonly received: number;
  /** Empty when all packets were right. */
  readonly error: string;
}

/** Packet `number` has 16 bits of its number as handle, and a hash of the whole number as length. */
export const handleOf = (number: number): number => number & 0xffff;
export const lengthOf = (number: number): number => Math.imul(number, 0x85ebca6b) >>> 16;

const LIMIT_MS = 5000;
const pauseWord = new Int32Array(new SharedArrayBuffer(4));

/** Calls `attempt` until it moves a packet, with a short pause after each vain call; returns 0 when none came in time. */
export function untilMoved(attempt: () => number): number {
  const deadline = performance.now() + LIMIT_MS;
  let moved = attempt();
  while (moved === 0 && performance.now() < deadline) {
    Atomics.wait(pauseWord, 0, 0, 0.1);
    moved = attempt();
  }
  return moved;
}
