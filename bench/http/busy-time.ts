/** How much of its time a load that spins has found something to do. */
import type { SinglePort } from '../../src/index.js';

export class BusyTime {
  private readonly busyMs: number;
  private readonly idleMs: number;

  /** Begins to measure. */
  constructor(private readonly port: SinglePort) {
    const { loop_busy_ms = 0, loop_idle_ms = 0 } = port.counters();
    this.busyMs = loop_busy_ms;
    this.idleMs = loop_idle_ms;
  }

  /** Returns the share since the beginning; 1 when the loop has not counted meanwhile. */
  share(): number {
    const { loop_busy_ms = 0, loop_idle_ms = 0 } = this.port.counters();
    const busy = loop_busy_ms - this.busyMs;
    const idle = loop_idle_ms - this.idleMs;
    return busy + idle > 0 ? busy / (busy + idle) : 1;
  }
}
