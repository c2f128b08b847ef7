/** One-line warnings about the network, of which a hostile or broken peer could cause any number: rarely one of a kind. */

/** Takes a line, without line end. */
export type WarningSink = (line: string) => void;

const QUIET_MS = 10_000;

export class Warnings<Kind extends string> {
  private readonly quietUntil = new Map<Kind, number>();

  constructor(
    private readonly sink: WarningSink,
    private readonly clock: () => number,
  ) {}

  /** Whether a warning of this kind may be given now. If so, give it: the next one may follow 10 s later. */
  isDue(kind: Kind): boolean {
    const now = this.clock();
    if (now < (this.quietUntil.get(kind) ?? 0)) return false;
    this.quietUntil.set(kind, now + QUIET_MS);
    return true;
  }

  warn(line: string): void {
    this.sink(line);
  }
}
