/** What must be true when all connections of a simulation have ended. */
import { expect } from 'vitest';
import type { Simulation } from './simulation.js';

/** What the report of a stack counts that must be gone. */
const GONE = ['connections', 'timers', 'memory_used', 'time_wait'] as const;

/**
 * Lets time pass until nothing is left to happen, and expects that nothing leaks: buffers, rows, timers, memory, frames.
 * @param limitMs virtual time that this may take; TIME_WAIT is a part of it
 */
export function expectQuiet(sim: Simulation, limitMs = 600_000): void {
  const seed = `seed ${sim.seed}`;
  sim.wake();
  expect(sim.runUntilIdle(limitMs), `${seed}: nothing is left to happen after ${limitMs} ms`).toBe(true);
  expect(sim.frames.used, `${seed}: frames on wires`).toBe(0);
  for (const host of sim.hosts) {
    const { core, device, stack, address } = host;
    expect(host.held, `${seed}: buffers that the stack of ${address} holds`).toBe(0);
    expect(device.pool.available, `${seed}: free buffers of ${address}`).toBe(device.pool.geometry.count);
    expect(stack?.maxSleepMs?.() ?? Number.POSITIVE_INFINITY, `${seed}: timers of ${address}`).toBe(
      Number.POSITIVE_INFINITY,
    );
    const report = stack?.report?.() ?? {};
    const left = GONE.filter((name) => (report[name] ?? 0) !== 0).map((name) => `${name} ${report[name]}`);
    expect(left, `${seed}: what the report of ${address} shows`).toEqual([]);
    expect(core.counters().tx_drop_no_route, `${seed}: packets without a route at ${address}`).toBe(0);
  }
}
