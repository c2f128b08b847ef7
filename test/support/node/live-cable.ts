/** A cable in memory between two devices of one thread, in real time: a frame that arrives wakes a core that sleeps. */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import { CableDevice } from '../tcpip/limits/cable-device.js';

export class LiveCable extends CableDevice {
  private isArmed = false;

  override arrive(from: MemoryViews, at: number, length: number): boolean {
    const isTaken = super.arrive(from, at, length);
    if (isTaken && this.isArmed) {
      this.isArmed = false;
      // As an interrupt: not within the burst of the sender.
      setImmediate(() => this.onWake?.());
    }
    return isTaken;
  }

  override enableRxInterrupt(): boolean {
    this.isArmed = super.enableRxInterrupt();
    return this.isArmed;
  }

  override disableRxInterrupt(): void {
    this.isArmed = false;
  }
}
