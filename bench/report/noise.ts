/**
 * Whether anything can be concluded from a row. Figures of a machine that did something else meanwhile look like any
 * others; so each row is watched, and says when it should not be believed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { coreToCoreNs } from '../common/core-to-core.js';
import { benchCpus, cpuSeconds, stolenSeconds } from '../common/cpus.js';
import type { Figure } from './report.js';

export interface Noise {
  /** False when the machine was too noisy: the ratio then says nothing. */
  readonly conclusive: boolean;
  /** Why not; one clause each. */
  readonly reasons: readonly string[];
  /** The round trip of a cache line between the two CPUs, before and after; null where the CPUs had no time for it. */
  readonly coreToCoreNs?: { readonly before: number | null; readonly after: number | null };
}

/** Round trips that differ by more than this are of two different placements of the CPUs (near ones vary by a tenth). */
const ALIKE = 1.5;
/** A process that spins and gets less than this of its CPU has shared it. */
const WHOLE_CPU = 0.9;
/** Disturbed windows among all of a row from which on its median is in doubt. */
const TOLERATED = 1 / 3;

/** Windows so far apart that their median says little. */
export const isSpread = ({ median, min, max }: Figure): boolean => max - min > median;

export class NoiseGuard {
  private windows = 0;
  private readonly disturbed = new Map<string, number>();
  private readonly stolen = stolenSeconds();
  private readonly began = performance.now();

  /** @param before undefined: not probed */
  private constructor(private readonly before: number | null | undefined) {}

  /**
   * Begins to watch a row.
   * @param isProbed whether to measure the round trip between the cores: where one thread alone is measured it says nothing
   */
  static async begin(isProbed = true): Promise<NoiseGuard> {
    return new NoiseGuard(isProbed ? await probe() : undefined);
  }

  /**
   * A window in which these processes spin: were they given their CPUs? Not asked of windows under a tenth of a second,
   * as the kernel counts in hundredths.
   */
  async watch<T>(pids: readonly number[], work: () => Promise<T>): Promise<T> {
    const before = pids.map(cpuSeconds);
    const start = performance.now();
    const result = await work();
    const seconds = (performance.now() - start) / 1000;
    const shares = pids.map((pid, i) => (cpuSeconds(pid) - before[i]) / seconds);
    this.window(seconds >= 0.1 ? Math.min(...shares) : 1);
    return result;
  }

  /** A window in which each thread that spins got this share of a CPU. */
  window(share: number): void {
    this.windows++;
    if (share < WHOLE_CPU) this.disturb('contestants had to share their CPU');
  }

  /** Something was wrong with one window. */
  disturb(reason: string): void {
    this.disturbed.set(reason, (this.disturbed.get(reason) ?? 0) + 1);
  }

  /** The verdict on a row with these figures. */
  async end(figures: readonly Figure[]): Promise<Noise> {
    const reasons: string[] = [];
    if (figures.some(isSpread)) reasons.push('the windows lie further apart than their median');
    for (const [reason, count] of this.disturbed) {
      if (count > this.windows * TOLERATED) reasons.push(`${reason} in ${count} of ${this.windows} windows`);
    }
    const stolen = (stolenSeconds() - this.stolen) / ((performance.now() - this.began) / 1000);
    if (stolen > 1 - WHOLE_CPU) reasons.push(`the hypervisor took ${Math.round(stolen * 100)} % of a CPU`);
    if (this.before === undefined) return { conclusive: reasons.length === 0, reasons };
    const after = await probe();
    const { before } = this;
    if (before === null || after === null) {
      reasons.push('the CPUs had no time to measure a round trip between them');
    } else if (Math.max(before, after) > ALIKE * Math.min(before, after)) {
      reasons.push(`the CPUs moved: a round trip between them took ${before} ns before and ${after} ns after`);
    }
    return { conclusive: reasons.length === 0, reasons, coreToCoreNs: { before, after } };
  }
}

const SETTLE_MS = 20;

async function probe(): Promise<number | null> {
  // What was paused just now may still be on its way off the CPU.
  await sleep(SETTLE_MS);
  const { common, contestant } = benchCpus();
  // On a single CPU the two would wait for each other's time slices.
  const ns = common === contestant ? null : await coreToCoreNs(common, contestant);
  return ns === null ? null : Math.round(ns);
}
