/** What must be true when all connections of a simulation have ended. */
import { ENTRY_SHIFT, FLAGS } from '../../../../rings/packet-table.js';
import { type Host, sleepMs } from './host.js';
import type { Simulation } from './simulation.js';

/** What the report of a stack counts that must be gone. */
const GONE = ['tcp_connections', 'tcp_time_wait', 'tcp_timers', 'tcp_memory'] as const;
/** Nothing wakes a stack for connections in TIME-WAIT: they go when it is polled later. */
const TIME_WAIT_MS = 121_000;

/**
 * Lets time pass until nothing is left to happen, and expects that nothing leaks: buffers, rows, timers, memory, frames.
 * @param limitMs virtual time that this may take; TIME_WAIT is a part of it
 * @throws Error that names the seed, and what is left
 */
export function expectQuiet(sim: Simulation, limitMs = 600_000): void {
  sim.wake();
  sim.runUntilIdle(limitMs);
  sim.run(TIME_WAIT_MS);
  sim.wake();
  const left = sim.runUntilIdle(limitMs) ? [] : [`something is left to happen after ${limitMs} ms`];
  if (sim.frames.used > 0) left.push(`${sim.frames.used} frames are on the wires`);
  for (const host of sim.hosts) left.push(...leftIn(host).map((what) => `${host.address}: ${what}`));
  if (left.length > 0) throw new Error(`seed ${sim.seed}: ${left.join('; ')}`);
}

/** How many entries of a packet table say something of their buffer. */
function flagged(words: Int32Array): number {
  let count = 0;
  for (let at = 0; at < words.length; at += 1 << ENTRY_SHIFT) if (words[at + FLAGS] !== 0) count++;
  return count;
}

function leftIn({ device, stack, held, port }: Host): string[] {
  const left: string[] = [];
  const { available, geometry } = device.pool;
  if (held > 0) left.push(`the stack holds ${held} buffers`);
  if (available < geometry.count) left.push(`${geometry.count - available} buffers are not free`);
  const marked = flagged(device.table.words);
  if (marked > 0) left.push(`${marked} free buffers have flags`);
  if (sleepMs(stack) !== Number.POSITIVE_INFINITY) left.push('a timer is armed');
  const report = stack?.report?.() ?? {};
  for (const name of GONE) if ((report[name] ?? 0) !== 0) left.push(`the report has ${name} ${report[name]}`);
  const lost = port.counters().tx_drop_no_route;
  if (lost > 0) left.push(`${lost} packets had no route`);
  return left;
}
