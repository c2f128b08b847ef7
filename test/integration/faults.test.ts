/**
 * The short form of `npm run faults`: each party is killed a few times, and hostile neighbours do their worst on their
 * own port, while the other endpoints exchange numbered packets.
 */
import { describe, expect, it } from 'vitest';
import {
  ADDRESS_INVENTORS,
  floodsObservers,
  HOSTILE_KINDS,
  type HostileKind,
  IsolationTestbed,
  LINGERING_KIND,
} from '../reliability/isolation-testbed.js';
import { VICTIMS } from '../reliability/victims.js';
import { command, describeWith, testpmd } from '../support/requirements.js';
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

/** With each neighbour. */
const ANSWERS = 3000;

async function expectToGoOn(kind: HostileKind): Promise<void> {
  const isolation = await IsolationTestbed.open();
  try {
    isolation.testbed.control.go();
    const before = await isolation.totals();
    const neighbour = await isolation.invite(kind);
    try {
      while ((await isolation.totals()).answered < before.answered + ANSWERS);
      const stats = await isolation.testbed.switchStats();
      expect([stats.ports.vm1?.up, stats.ports.vm2?.up, neighbour.isRunning]).toEqual([true, true, true]);
      // A flooded endpoint may find its ring full; then the switch has counted the frame.
      const allowed = floodsObservers(kind) ? stats.summary.dropped.full : before.missing;
      // A late packet is not a lost one.
      await expect.poll(async () => (await isolation.totals()).missing, LATE).toBeLessThanOrEqual(allowed);
    } finally {
      await neighbour.stop();
    }
    expect(await isolation.violations()).toEqual([]);
  } finally {
    await isolation.close();
  }
}

describe('two endpoints go on with each other beside one that', () => {
  const kinds = HOSTILE_KINDS.filter((kind) => kind !== 'burns' && kind !== LINGERING_KIND);

  it.each(kinds)('%s', LIMIT, (kind) => expectToGoOn(kind));
});

describeWith('two endpoints go on with each other beside one that', [command('python3')], () => {
  it(LINGERING_KIND, LIMIT, () => expectToGoOn(LINGERING_KIND));
});

describe.each(ALL_MODES)('%s: two endpoints lose nothing beside a neighbour that', (mode) => {
  /** 3000 invented addresses to each endpoint in the first second, and 1000 in each of the others. */
  const WINDOW_MS = 2000;

  it.each(ADDRESS_INVENTORS)('%s', LIMIT, async (kind) => {
    const isolation = await IsolationTestbed.open(mode);
    try {
      const { rate, lost, full } = await isolation.endure(kind, WINDOW_MS);
      expect(rate).toBeGreaterThan(0);
      expect(await isolation.violations()).toEqual([]);
      // On a machine that gives a process no CPU for 0.1 s its rings and queues overflow; on a quiet one both are 0.
      expect(lost).toBeLessThanOrEqual(full + (await isolation.queuesFull()));
    } finally {
      await isolation.close();
    }
  });
});
