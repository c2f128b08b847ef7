/**
 * Decides whether a row is conclusive. Figures do not show whether the machine did something else meanwhile, so each
 * row is watched.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Figure, Noise } from '../report/report.js';
import { coreToCoreNs } from './core-to-core.js';
import { benchCpus, cpuSeconds, stolenSeconds } from './cpus.js';

/** If round trips differ by a larger factor, the CPUs have moved. Otherwise they vary by a tenth. */
const SAME_PLACEMENT = 1.5;
/** A spinning process that gets less than this part of its CPU has shared it. */
const WHOLE_CPU = 0.9;
/** If a larger part of a row's windows was disturbed, its median is in doubt. */
const TOLERATED = 1 / 3;

/** Why a row with {@link isSpread} figures is in doubt. */
export const SPREAD = 'the windows differ by more than their median';

/** Whether the windows differ so much that their median says little. */
export const isSpread = ({ median, min, max }: Figure): boolean => max - min > median;

export class NoiseGuard {
  private windows = 0;
  private readonly disturbed = new Map<string, number>();
  private readonly stolen = stolenSeconds();
  private readonly began = performance.now();

  /** @param before the round trip before the row; undefined when it is not measured */
  private constructor(private readonly before: number | null | undefined) {}

  /**
   * Begins to watch a row.
   * @param isProbed whether to measure the round trip between the CPUs; it does not matter when one thread is measured
   */
  static async begin(isProbed = true): Promise<NoiseGuard> {
    return new NoiseGuard(isProbed ? await probe() : undefined);
  }

  /**
   * Watches a window in which these processes spin: did they get their CPUs? Windows below a tenth of a second are not
   * checked, because the kernel counts in hundredths.
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

  /** Notes a window in which each spinning thread got this share of a CPU. */
  window(share: number): void {
    this.windows++;
    if (share < WHOLE_CPU) this.disturb('contestants had to share their CPU');
  }

  /** Notes that something disturbed one window. */
  disturb(reason: string): void {
    this.disturbed.set(reason, (this.disturbed.get(reason) ?? 0) + 1);
  }

  /** Returns whether a row with these figures is conclusive. */
  async end(figures: readonly Figure[]): Promise<Noise> {
    const reasons: string[] = [];
    if (figures.some(isSpread)) reasons.push(SPREAD);
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
    } else if (Math.max(before, after) > SAME_PLACEMENT * Math.min(before, after)) {
      reasons.push(`the CPUs moved: a round trip between them took ${before} ns before and ${after} ns after`);
    }
    return { conclusive: reasons.length === 0, reasons, coreToCoreNs: { before, after } };
  }
}

const SETTLE_MS = 20;

async function probe(): Promise<number | null> {
  // A process that was paused just now may still use the CPU.
  await sleep(SETTLE_MS);
  const { common, contestant } = benchCpus();
  // On a single CPU, the two ends would wait for each other's time slices.
  const ns = common === contestant ? null : await coreToCoreNs(common, contestant);
  return ns === null ? null : Math.round(ns);
}
