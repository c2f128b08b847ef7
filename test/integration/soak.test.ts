/**
 * The short form of `npm run soak`: some seconds of checked traffic in each thread layout, while an endpoint comes and
 * goes.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { rise, tooMuch } from '../reliability/memory-growth.js';
import { leaksBetween, type TestbedResources } from '../reliability/process-resources.js';
import { SoakRun } from '../reliability/soak-run.js';
import { runTcpSoak } from '../reliability/tcp-soak.js';

it('finds no violation', { timeout: 180_000 }, async () => {
  const { answered, kills, terms, violations } = await new SoakRun({ ms: 10_000, seed: 2 }).run();
  expect(violations).toEqual([]);
  expect(answered).toBeGreaterThan(1000);
  // In each layout at least once.
  expect(kills + terms).toBeGreaterThanOrEqual(3);
});

it('leaves time for schedules of TCP whatever came before them, and misses them', async () => {
  const slow = async () => {
    await sleep(400);
    return { lines: [], violations: [] };
  };
  const { schedules, violations } = await runTcpSoak({ ms: 300, seed: 1 }, slow);
  expect(schedules).toBeGreaterThan(0);
  expect(violations).toEqual([]);
  expect((await runTcpSoak({ ms: 0, seed: 1 }, slow)).violations).toEqual(['no schedule ran']);
});

it('tells memory that grows from memory that goes up and down', () => {
  const samples = (heap: (i: number) => number) =>
    Array.from({ length: 40 }, (_, i) => ({ ms: i * 1000, heapKb: heap(i), endpointsKb: 80_000, switchKb: 60_000 }));
  const steady = samples((i) => 9000 + (i % 2) * 700);
  const leaky = samples((i) => 9000 + i * 50);
  expect(Math.abs(rise(steady, 'heapKb'))).toBeLessThan(100);
  expect(tooMuch(steady)).toEqual([]);
  expect(Math.round(rise(leaky, 'heapKb'))).toBe(29 * 50);
  expect(tooMuch(leaky)).toEqual([expect.stringMatching(/^memory grows: heapKb by 1450 in 40 samples$/)]);
  // Code that is compiled in the beginning is no leak.
  expect(tooMuch(samples((i) => (i < 10 ? i * 900 : 9000)))).toEqual([]);
});

it('sees a leak of each kind', () => {
  const reading = { fds: 30, threads: 11, shared: 5, mappings: 400, ownKb: 60_000, sharedKb: 20_000 };
  const stock = (more: Partial<typeof reading> = {}, other: Partial<TestbedResources> = {}): TestbedResources => ({
    readings: new Map([['hub', { ...reading, ...more }]]),
    ...{ files: ['vhost1.sock'], hugepages: 16, heaps: new Map(), ...other },
  });
  const leaks = (now: TestbedResources): string[] => leaksBetween(stock(), now);
  expect(leaks(stock({ mappings: 400, ownKb: 61_000 }))).toEqual([]);
  expect(leaks(stock({ fds: 31 }))).toEqual(['hub: fds 30 -> 31']);
  expect(leaks(stock({ threads: 12, shared: 6 }))).toEqual(['hub: threads 11 -> 12', 'hub: shared 5 -> 6']);
  expect(leaks(stock({ mappings: 401, ownKb: 160_000, sharedKb: 31_000 }))).toHaveLength(3);
  expect(leaks(stock({}, { files: ['vhost1.sock', 'x'] }))).toEqual(['sockets: vhost1.sock -> vhost1.sock x']);
  expect(leaks(stock({}, { hugepages: 11 }))).toEqual(['free hugepages: 16 -> 11']);
});
