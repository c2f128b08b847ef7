/**
 * TCP under random schedules: `TSPMD_SCHEDULES=N` runs N of them instead of some seconds' worth, `TSPMD_SEED=S` begins
 * with another seed. `npm run soak -- --tcp` runs them for long.
 */
import { describe, expect, it } from 'vitest';
import { runSchedules } from '../../../support/tcpip/schedule/run-many.js';
import { runSchedule } from '../../../support/tcpip/schedule/schedule.js';

const SEED = Number(process.env.TSPMD_SEED ?? 1);
const COUNT = process.env.TSPMD_SCHEDULES;
const LIMITS = COUNT === undefined ? { count: 5000, ms: 12_000 } : { count: Number(COUNT) };
const TIMEOUT_MS = COUNT === undefined ? 60_000 : Number(COUNT) * 1000;

describe('two stacks with a bad network between them', () => {
  it('deliver every byte once and in order, end, and leak nothing', { timeout: TIMEOUT_MS }, async () => {
    const { failures, schedules, totals } = await runSchedules({ seed: SEED, ...LIMITS, maxFailures: 5 });
    expect(failures).toEqual([]);
    expect(schedules).toBeGreaterThan(10);
    expect(totals.connections).toBeGreaterThan(schedules);
    expect(totals.bytes).toBeGreaterThan(1_000_000);
    // Attempts that were given up are rare.
    expect(totals.failed).toBeLessThan(totals.connections / 10);
  });

  it('may open a connection twice by its cookie, if the RST of the first is lost', async () => {
    expect(await runSchedule(1_004_368)).toMatchObject({ failed: 0, aborted: 2 });
  });

  it('repeat a schedule from its seed', async () => {
    expect(await runSchedule(SEED + 7)).toEqual(await runSchedule(SEED + 7));
  });
});
