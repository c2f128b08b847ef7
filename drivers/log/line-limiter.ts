/**
 * How many lines somebody may cause: so many of a kind in a while, then only their number. One limiter per source (a port, a
 * link), so that a peer that floods its own takes nothing from the others.
 */

/** Takes a line, without line feed. */
export type LineSink = (line: string) => void;

/** Twice what Linux lets through of its own ratelimited messages in that time (printk_ratelimit: 10 in 5 s). */
const LINES = 20;
const WINDOW_MS = 10_000;
/** Kinds that are remembered; those that come after share one. */
const MAX_KINDS = 32;
const OTHER = 'other';

const NUMBERS = new Intl.NumberFormat('en-US');

export interface LineLimits {
  /** Lines of a kind per window; 20 by default. */
  readonly lines?: number;
  /** Now, in ms; performance.now by default. */
  readonly clock?: () => number;
}

/** What has come of one kind since its window began. */
interface Window {
  startedAt: number;
  lines: number;
  suppressed: number;
}

export class LineLimiter<Kind extends string = string> {
  private readonly windows = new Map<string, Window>();
  private readonly most: number;
  private readonly clock: () => number;

  /** @param sink gets the lines that go out, and lines that tell how many did not */
  constructor(
    private readonly sink: LineSink,
    { lines = LINES, clock = () => performance.now() }: LineLimits = {},
  ) {
    this.most = lines;
    this.clock = clock;
  }

  /** Gives the line to the sink, or only counts it. */
  write(kind: Kind, line: string): void {
    if (this.isDue(kind)) this.sink(line);
  }

  /** Whether a line of this kind may go out now: the caller then gives it to the sink. Otherwise it is counted as suppressed. */
  isDue(kind: Kind): boolean {
    const now = this.clock();
    const name = this.windows.has(kind) || this.windows.size < MAX_KINDS ? kind : OTHER;
    let window = this.windows.get(name);
    if (window !== undefined && now - window.startedAt >= WINDOW_MS) {
      this.tell(name, window, now);
      window = undefined;
    }
    if (window === undefined) {
      window = { startedAt: now, lines: 0, suppressed: 0 };
      this.windows.set(name, window);
    }
    if (window.lines < this.most) {
      window.lines++;
      return true;
    }
    window.suppressed++;
    return false;
  }

  /** Tells how many lines were suppressed in windows that have ended. To be called now and then. */
  tick(): void {
    const now = this.clock();
    for (const [kind, window] of this.windows) {
      if (now - window.startedAt < WINDOW_MS) continue;
      this.windows.delete(kind);
      this.tell(kind, window, now);
    }
  }

  /** Tells how many lines were suppressed so far, and begins anew. */
  close(): void {
    const now = this.clock();
    for (const [kind, window] of this.windows) this.tell(kind, window, now);
    this.windows.clear();
  }

  private tell(kind: string, { startedAt, suppressed }: Window, now: number): void {
    if (suppressed === 0) return;
    const seconds = Math.max(1, Math.round((now - startedAt) / 1000));
    this.sink(`… ${NUMBERS.format(suppressed)} more of this kind in the last ${NUMBERS.format(seconds)} s: ${kind}`);
  }
}
