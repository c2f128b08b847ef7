/** Wakes a thread by its doorbell, and by its device if it has one. */
import type { WakeSource } from '../../link/lower-layer.js';
import type { DoorbellListener } from './doorbell.js';

export class DoorbellWake implements WakeSource {
  onWake: (() => void) | null = null;
  /** Wakes the thread. */
  readonly wake = (): void => this.onWake?.();

  /**
   * @param link tells whether the link is up
   * @param hasWork whether another thread has something for this one
   * @param device the part of a device that wakes; null for a thread without a device
   */
  constructor(
    private readonly link: { readonly isUp: boolean },
    private readonly listener: DoorbellListener,
    private readonly hasWork: () => boolean,
    private readonly device: WakeSource | null = null,
  ) {
    listener.onRing = this.wake;
    if (device !== null) device.onWake = this.wake;
  }

  get isUp(): boolean {
    return this.link.isUp;
  }

  get pollOnly(): boolean {
    return this.device?.pollOnly === true;
  }

  enableRxInterrupt(): boolean {
    // First both requests, then the look: whatever comes after the look wakes the thread.
    if (!this.listener.arm()) return false;
    if (this.device === null || this.device.enableRxInterrupt()) {
      if (!this.hasWork()) return true;
      this.device?.disableRxInterrupt();
    }
    this.listener.disarm();
    return false;
  }

  disableRxInterrupt(): void {
    this.device?.disableRxInterrupt();
    this.listener.disarm();
  }
}
