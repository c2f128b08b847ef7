/** Tells a thread that hangs from one that has not had the CPU, by its beats and by what the kernel says of it. */
import type { ThreadState } from '../../drivers/libc/index.js';

/** Looks in a row at a thread that waits in the kernel although its next beat is due. */
const WAITING_LOOKS = 2;
/** CPU time without a beat, in ms. */
const BUSY_MS = 1000;

export class HangDetector {
  private beats = -1;
  private waiting = 0;
  /** CPU time at the first look without a beat, in ms. */
  private busySince = -1;

  /** @param read asks the kernel; only called where a beat is missing */
  constructor(private readonly read: () => ThreadState) {}

  /** One look, a beat's time after the last one. Returns how the thread hangs, for a person; null where it does not. */
  look(beats: number): string | null {
    if (beats !== this.beats) {
      this.beats = beats;
      this.waiting = 0;
      this.busySince = -1;
      return null;
    }
    const { isWaiting, cpuMs } = this.read();
    if (this.busySince < 0) this.busySince = cpuMs;
    this.waiting = isWaiting ? this.waiting + 1 : 0;
    if (this.waiting >= WAITING_LOOKS) return 'hangs in a system call';
    return cpuMs - this.busySince >= BUSY_MS ? 'has been busy for a second' : null;
  }
}
