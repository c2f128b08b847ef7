/**
 * Limits how many lines a source may cause: a number of lines per kind and time window, afterwards only their number.
 * Each source (a port, a link) has its own limiter, so that a peer that floods one takes nothing from the others.
 */

/** Takes a line without line feed. */
export type LineSink = (line: string) => void;

/** How many lines of a kind were suppressed, and in how many seconds. */
export interface Suppressed {
  readonly kind: string;
  readonly count: number;
  readonly seconds: number;
}

/** Twice what Linux allows for its own ratelimited messages in that time (printk_ratelimit: 10 in 5 s). */
const LINES = 20;
const WINDOW_MS = 10_000;
/** Number of kinds that are remembered. Further kinds share one. */
const MAX_KINDS = 32;
const OTHER = 'other';

const NUMBERS = new Intl.NumberFormat('en-US');

interface LineLimits {
  /** Lines per kind and window; default 20. */
  readonly lines?: number;
  /** Returns the time in ms; default performance.now. */
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

  /** @param sink gets the lines that go out, and those that say how many were suppressed, with these figures */
  constructor(
    private readonly sink: (line: string, suppressed?: Suppressed) => void,
    { lines = LINES, clock = () => performance.now() }: LineLimits = {},
  ) {
    this.most = lines;
    this.clock = clock;
  }

  /** Gives the line to the sink, or only counts it. */
  write(kind: Kind, line: string): void {
    if (this.isDue(kind)) this.sink(line);
  }

  /** Whether a line of this kind may go out now. If so, the caller gives it to the sink; if not, it is counted here. */
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

  /** Reports how many lines were suppressed in windows that have ended. Call it from time to time. */
  tick(): void {
    const now = this.clock();
    for (const [kind, window] of this.windows) {
      if (now - window.startedAt < WINDOW_MS) continue;
      this.windows.delete(kind);
      this.tell(kind, window, now);
    }
  }

  /** Reports how many lines were suppressed so far, and starts again. */
  close(): void {
    const now = this.clock();
    for (const [kind, window] of this.windows) this.tell(kind, window, now);
    this.windows.clear();
  }

  private tell(kind: string, { startedAt, suppressed }: Window, now: number): void {
    if (suppressed === 0) return;
    const seconds = Math.max(1, Math.round((now - startedAt) / 1000));
    const line = `… ${NUMBERS.format(suppressed)} more of this kind in the last ${NUMBERS.format(seconds)} s: ${kind}`;
    this.sink(line, { kind, count: suppressed, seconds });
  }
}
