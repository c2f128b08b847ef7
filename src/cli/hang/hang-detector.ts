/**
 * Tells a thread that hangs from one that only waits for the CPU. A healthy thread counts beats; when they stop, the
 * kernel tells what the thread does.
 */
import type { ThreadState } from '../../../drivers/libc/index.js';

/** A thread hangs when it waits in the kernel at this many looks in a row, without a beat. */
const WAITING_LOOKS = 2;
/** A thread hangs when it has used this much CPU time without a beat, in ms. */
const BUSY_MS = 1000;

/** How a thread hangs, as text. */
export const HANGS = { 'system-call': 'hangs in a system call', busy: 'has been busy for a second' } as const;
export type HangKind = keyof typeof HANGS;

export class HangDetector {
  private beats = -1;
  private waiting = 0;
  /** CPU time of the thread at the first look without a beat, in ms; -1 before. */
  private busySince = -1;

  /** @param read asks the kernel for the state of the thread; it is called only when a beat is missing */
  constructor(private readonly read: () => ThreadState) {}

  /**
   * Looks at the thread. Call it once per beat.
   * @param beats how many beats the thread has counted
   * @returns how the thread hangs; null when it does not hang
   */
  look(beats: number): HangKind | null {
    if (beats !== this.beats) {
      this.beats = beats;
      this.waiting = 0;
      this.busySince = -1;
      return null;
    }
    const { isWaiting, cpuMs } = this.read();
    if (this.busySince < 0) this.busySince = cpuMs;
    this.waiting = isWaiting ? this.waiting + 1 : 0;
    if (this.waiting >= WAITING_LOOKS) return 'system-call';
    return cpuMs - this.busySince >= BUSY_MS ? 'busy' : null;
  }
}
