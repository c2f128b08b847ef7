/**
 * The loop: a case is made of one that was worth keeping, run, and kept if it did something new. A case that throws is a
 * finding; it is made smaller and handed back. With one seed, one corpus and the same code the cases are the same.
 */
import type { Feedback } from './feedback.js';
import { Input } from './input.js';
import { Mutator } from './mutator.js';
import { Random } from './random.js';
import type { FuzzTarget, TargetRun } from './target.js';

/** Cases that are kept; a new one takes a random place then. */
const MAX_KEPT = 4096;
/** Cases between two looks at the clock and at the event loop. */
const BATCH = 256;
/** One in so many cases is made of nothing but chance. */
const FRESH_ONE_IN = 16;
/** Runs that making a finding smaller may take. */
const MAX_SHRINK_RUNS = 4000;

export interface Finding {
  readonly error: Error;
  /** The case, as small as it could be made. */
  readonly bytes: Uint8Array;
}

export interface FuzzOptions {
  readonly seed: number;
  readonly corpus: readonly Uint8Array[];
  readonly feedback: Feedback;
  /** Where each case lies while it runs: in a file, for whoever wants to know what a process died of. */
  readonly scratch?: Uint8Array;
  /** Called before each case with its number and length. */
  readonly onCase?: (number: number, length: number) => void;
}

export class Fuzzer {
  /** Cases run, those of the corpus included. */
  cases = 0;
  /** Cases worth keeping. */
  readonly kept: Uint8Array[] = [];
  /** Milliseconds of the slowest case; only where the target has a bound. */
  slowest = 0;
  private readonly random: Random;
  private readonly mutator: Mutator;
  private readonly input = new Input();
  private readonly scratch: Uint8Array;
  private run: TargetRun | null = null;

  constructor(
    private readonly target: FuzzTarget,
    private readonly options: FuzzOptions,
  ) {
    this.random = new Random(options.seed);
    this.mutator = new Mutator(this.random, target.dictionary);
    this.scratch = (options.scratch ?? new Uint8Array(target.maxBytes)).subarray(0, target.maxBytes);
  }

  /**
   * Runs the corpus, then new cases until `done` says so (asked every few hundred cases, with their number) or one fails.
   */
  async fuzz(done: (cases: number) => boolean): Promise<Finding | null> {
    const { stackTraceLimit } = Error;
    // Errors are what most cases end with, and the stack is what takes long about them. A finding is run once more.
    Error.stackTraceLimit = 0;
    const found = await this.loop(done).finally(() => {
      Error.stackTraceLimit = stackTraceLimit;
    });
    return found === null ? null : this.shrink(found);
  }

  private async loop(done: (cases: number) => boolean): Promise<Finding | null> {
    const { options, scratch } = this;
    for (const entry of options.corpus) {
      scratch.set(entry.subarray(0, scratch.length));
      const finding = await this.one(Math.min(entry.length, scratch.length));
      if (finding !== null) return finding;
      this.keep(entry.slice());
    }
    while (!done(this.cases)) {
      for (let i = 0; i < BATCH; i++) {
        const length = this.make();
        const before = options.feedback.fresh;
        const outcome = this.one(length);
        const finding = outcome === null ? null : await outcome;
        if (finding !== null) return finding;
        if (options.feedback.fresh !== before) this.keep(scratch.slice(0, length));
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    return null;
  }

  /** Runs one case as it is. */
  async replay(bytes: Uint8Array): Promise<Finding | null> {
    const error = await this.outcome(bytes, bytes.length);
    return error === null ? null : { error, bytes };
  }

  /**
   * A few of the kept cases, the shortest first: those that reach code of their own, and up to `limit` in all with other
   * marks.
   */
  async minimal(limit: number): Promise<Uint8Array[]> {
    const { feedback } = this.options;
    const kept = this.kept.sort((a, b) => a.length - b.length);
    const needed = new Set<Uint8Array>();
    for (const seen of ['blocks', 'all'] as const) {
      feedback.clear();
      for (const bytes of [...needed, ...kept]) {
        if (seen === 'all' && needed.size >= limit) break;
        const before = feedback.seen(seen);
        await this.outcome(bytes, bytes.length);
        if (feedback.seen(seen) !== before) needed.add(bytes);
      }
    }
    return [...needed];
  }

  close(): void {
    this.run?.close?.();
    this.run = null;
  }

  /** Makes the next case in the scratch; returns its length. */
  private make(): number {
    const { random, kept, scratch, mutator } = this;
    if (kept.length === 0 || random.below(FRESH_ONE_IN) === 0) return mutator.generate(scratch);
    // Half of the time one of the latest: what has just been reached is where new things are.
    const recent = random.below(2) === 0 ? Math.min(kept.length, 16) : kept.length;
    const base = kept[kept.length - 1 - random.below(recent)]!;
    scratch.set(base);
    return mutator.mutate(scratch, base.length, kept[random.below(kept.length)]!);
  }

  private keep(bytes: Uint8Array): void {
    if (this.kept.length < MAX_KEPT) this.kept.push(bytes);
    else this.kept[this.random.below(MAX_KEPT)] = bytes;
  }

  private one(length: number): Finding | null | Promise<Finding | null> {
    this.cases++;
    this.options.onCase?.(this.cases, length);
    const { maxMs } = this.target;
    const run = this.run;
    if (run === null || maxMs !== undefined) return this.slow(length);
    try {
      const waits = run.run(this.input.reset(this.scratch, length));
      return waits === undefined ? null : this.awaited(waits, length);
    } catch (error) {
      return this.found(error as Error, length);
    }
  }

  private async awaited(waits: Promise<void>, length: number): Promise<Finding | null> {
    try {
      await waits;
      return null;
    } catch (error) {
      return this.found(error as Error, length);
    }
  }

  private async slow(length: number): Promise<Finding | null> {
    const error = await this.outcome(this.scratch, length);
    return error === null ? null : this.found(error, length);
  }

  /** What a case throws, or that it took too long. */
  private async outcome(bytes: Uint8Array, length: number): Promise<Error | null> {
    const { maxMs } = this.target;
    this.run ??= await this.target.prepare(this.options.feedback);
    const start = maxMs === undefined ? 0 : performance.now();
    try {
      await this.run.run(this.input.reset(bytes, length));
    } catch (error) {
      return error as Error;
    }
    if (maxMs === undefined) return null;
    const took = performance.now() - start;
    this.slowest = Math.max(this.slowest, took);
    return took <= maxMs ? null : new Error(`took ${Math.round(took)} ms; at most ${maxMs} are allowed`);
  }

  private found(error: Error, length: number): Finding {
    return { error, bytes: this.scratch.slice(0, length) };
  }

  /** Drops chunks, then zeroes bytes, for as long as the same thing goes wrong. */
  private async shrink(finding: Finding): Promise<Finding> {
    const kind = kindOf(finding.error);
    let { error, bytes: best } = finding;
    let runs = 0;
    const holds = async (candidate: Uint8Array): Promise<boolean> => {
      if (++runs > MAX_SHRINK_RUNS) return false;
      // A finding may have left anything behind.
      this.close();
      const other = await this.outcome(candidate, candidate.length);
      if (other === null || kindOf(other) !== kind) return false;
      best = candidate;
      error = other;
      return true;
    };
    if (await holds(best)) {
      for (let chunk = best.length >>> 1; chunk >= 1; chunk >>>= 1) {
        for (let at = 0; at + chunk <= best.length; ) {
          const without = Uint8Array.from([...best.subarray(0, at), ...best.subarray(at + chunk)]);
          if (!(await holds(without))) at += chunk;
        }
      }
      for (let at = 0; at < best.length; at++) {
        const candidate = best.slice();
        candidate[at] = 0;
        if (best[at] !== 0) await holds(candidate);
      }
    }
    this.close();
    return { error, bytes: best };
  }
}

/** What went wrong, without its numbers. */
function kindOf(error: Error): string {
  return `${error.name}: ${String(error.message).split('\n')[0]}`.replace(/0x[0-9a-f]+|\d+/g, '#');
}
