/**
 * The short form of `npm run faults`: each party is killed a few times, and hostile neighbours do their worst on their
 * own port, while the other endpoints exchange numbered packets.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HOSTILITIES, INVENTORS, IsolationScene } from '../reliability/isolation.js';
import { VICTIMS } from '../reliability/victims.js';
import { describeWith, testpmd } from '../support/requirements.js';
import { ALL_MODES, type Mode } from '../support/threads/modes.js';

const LIMIT = { timeout: 120_000 };
const LATE = { timeout: 10_000 };
const KILLS = 5;
/** Runs with all endpoints in one layout, in addition to the mixed one. */
const FEW_KILLS = 3;
const SEED = 1;

async function expectNobodyMinds(victim: keyof typeof VICTIMS, least = KILLS, mode?: Mode): Promise<void> {
  const { kills, recoveryMs, answered, violations } = await VICTIMS[victim].run({ kills: least, seed: SEED, mode });
  expect(violations).toEqual([]);
  expect(kills).toBeGreaterThanOrEqual(least);
  // Traffic came back each time. The long form also says how fast.
  expect(recoveryMs.length).toBeGreaterThan(0);
  expect(answered).toBeGreaterThan(1000);
}

describe('under load and at rest, the others go on when', () => {
  it('the switch is killed', LIMIT, () => expectNobodyMinds('switch'));
  it('the switch is killed, all endpoints in 2kb', LIMIT, () => expectNobodyMinds('switch', FEW_KILLS, '2kb'));
  it('an endpoint is killed', LIMIT, () => expectNobodyMinds('endpoint'));
});

describeWith('under load and at rest, our endpoints go on when', [testpmd], () => {
  it('DPDK’s backend is killed', LIMIT, () => expectNobodyMinds('backend'));
});

describe('two endpoints go on with each other beside one that', () => {
  /** With each neighbour. */
  const ANSWERS = 3000;
  let isolation: IsolationScene;

  beforeEach(async () => {
    isolation = await IsolationScene.open();
    isolation.scene.conductor.go();
  });

  afterEach(async () => {
    await isolation.close();
  });

  it.each(HOSTILITIES.filter((kind) => kind !== 'burns'))('%s', LIMIT, async (kind) => {
    const neighbour = await isolation.invite(kind);
    try {
      const before = await isolation.totals();
      while ((await isolation.totals()).answered < before.answered + ANSWERS);
      const stats = await isolation.scene.switchStats();
      expect([stats.ports.vm1?.up, stats.ports.vm2?.up, neighbour.isRunning]).toEqual([true, true, true]);
      // A flooded endpoint may find its ring full; then the switch has counted the frame.
      const allowed = kind.startsWith('floods') ? stats.summary.dropped.full : before.missing;
      // A late packet is not a lost one.
      await expect.poll(async () => (await isolation.totals()).missing, LATE).toBeLessThanOrEqual(allowed);
    } finally {
      await neighbour.stop();
    }
    expect(await isolation.violations()).toEqual([]);
  });
});

describe.each(ALL_MODES)('%s: two endpoints lose nothing beside a neighbour that', (mode) => {
  /** Three thousand strangers come in the first second, and a thousand in each further second. */
  const WINDOW_MS = 5000;

  it.each(INVENTORS)('%s', LIMIT, async (kind) => {
    const isolation = await IsolationScene.open(mode);
    try {
      const { answered, lost, full } = await isolation.endure(kind, WINDOW_MS);
      // If the machine gives a process no CPU for 0.1 s, its ring overflows. On a quiet machine `full` is 0.
      expect(lost).toBeLessThanOrEqual(full);
      expect(answered).toBeGreaterThan(1000);
      expect(await isolation.violations()).toEqual([]);
    } finally {
      await isolation.close();
    }
  });
});
