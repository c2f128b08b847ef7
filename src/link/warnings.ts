/** One-line warnings about the network, of which a hostile or broken peer could cause any number: one of a kind in 10 s. */
import { LineLimiter, type LineSink } from '../../drivers/log/line-limiter.js';

/** Takes a line, without line feed. */
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
   * Whether a warning of this kind may be given now. If so, give it: the next one may follow 10 s later, after a line that tells
   * how many were not given. Asked first, so that a line that is not given is not made either.
   */
  isDue(kind: Kind): boolean {
    return this.limiter.isDue(kind);
  }

  warn(line: string): void {
    this.sink(line);
  }
}
