/**
 * Warnings about the network, one line each. A hostile peer could cause any number of them, so there is one of a kind
 * per 10 s.
 */
import { LineLimiter, type LineSink } from '../../drivers/log/line-limiter.js';

/** Takes a line, without a line feed. */
export type WarningSink = LineSink;

export class Warnings<Kind extends string> {
  private readonly limiter: LineLimiter<Kind>;

  constructor(
    private readonly sink: WarningSink,
    clock: () => number,
  ) {
    this.limiter = new LineLimiter<Kind>(sink, { lines: 1, clock });
  }

  /**
   * Whether a warning of this kind may be given now. If so, call {@link warn}: the next one may follow 10 s later,
   * after a line that tells how many were left out. This is a question of its own so that a line that is left out is
   * not composed either.
   */
  isDue(kind: Kind): boolean {
    return this.limiter.isDue(kind);
  }

  warn(line: string): void {
    this.sink(line);
  }
}
