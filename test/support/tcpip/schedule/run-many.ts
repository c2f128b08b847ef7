/** Many random schedules one after the other: for as long, or for as many, as wanted. */
import { type Outcome, runSchedule } from './schedule.js';

export interface ManyOptions {
  /** The seed of the first schedule; the next one has the next number. */
  readonly seed: number;
  /** Most schedules. Default: no limit. */
  readonly count?: number;
  /** After this time no schedule is begun, in ms of real time. Default: no limit. */
  readonly ms?: number;
  readonly stop?: AbortSignal;
  /** Stops after so many failures. Default 1. */
  readonly maxFailures?: number;
  /** Called after each schedule. */
  readonly tell?: (schedules: number, totals: Outcome) => void;
}

export interface ManyResult {
  readonly schedules: number;
  readonly totals: Outcome;
  /** One text per failed schedule, which begins with its seed. */
  readonly failures: readonly string[];
}

export async function runSchedules(options: ManyOptions): Promise<ManyResult> {
  const { seed, count = Number.POSITIVE_INFINITY, ms = Number.POSITIVE_INFINITY, maxFailures = 1 } = options;
  const totals: Outcome = { connections: 0, bytes: 0, failed: 0, aborted: 0, virtualMs: 0, packets: 0 };
  const failures: string[] = [];
  const end = performance.now() + ms;
  let schedules = 0;
  while (schedules < count && performance.now() < end && options.stop?.aborted !== true) {
    try {
      const outcome = await runSchedule(seed + schedules);
      for (const name of Object.keys(totals) as (keyof Outcome)[]) totals[name] += outcome[name];
    } catch (error) {
      failures.push(`schedule ${seed + schedules}: ${(error as Error).message}`);
      if (failures.length >= maxFailures) return { schedules: schedules + 1, totals, failures };
    }
    schedules++;
    options.tell?.(schedules, totals);
  }
  return { schedules, totals, failures };
}
