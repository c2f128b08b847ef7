/**
 * Connections that programs have closed, and whose peers have not ended them yet. Linux has the same: FIN-WAIT-2 lasts
 * for tcp_fin_timeout, but what is still being sent has its time.
 */
import type { OpenHandle } from './net/handle-host.js';

/** How long an orphan may go on without the peer having acknowledged more, as Linux's tcp_fin_timeout, in ms. */
export const ORPHAN_MS = 60_000;
/** How often it is looked for orphans that have waited too long, in ms. */
const LOOK_MS = 1000;

interface Wait {
  /** When the wait ends, in ms of `performance.now()`. */
  readonly until: number;
  /** Bytes that the peer had not acknowledged when it began. */
  readonly unacknowledged: number;
}

export class Orphans {
  /** In the order of the ends of their waits. */
  private readonly waits = new Map<OpenHandle, Wait>();
  private timer: NodeJS.Timeout | null = null;

  /** A program has closed a connection: the peer gets some time to end it, too. */
  add(orphan: OpenHandle): void {
    this.waits.set(orphan, {
      until: performance.now() + ORPHAN_MS,
      unacknowledged: orphan.unacknowledgedBytes,
    });
    this.timer ??= setInterval(() => this.look(), LOOK_MS).unref();
  }

  /** A connection is over. It need not be an orphan. */
  delete(orphan: OpenHandle): void {
    if (!this.waits.delete(orphan) || this.waits.size > 0 || this.timer === null) return;
    clearInterval(this.timer);
    this.timer = null;
  }

  private look(): void {
    const now = performance.now();
    for (const [orphan, { until, unacknowledged }] of this.waits) {
      if (until > now) return;
      // A peer that reads slowly may take minutes for a full send buffer.
      const isAlive = orphan.unacknowledgedBytes < unacknowledged;
      if (isAlive) {
        this.waits.delete(orphan);
        this.add(orphan);
      } else orphan.abort();
    }
  }
}
