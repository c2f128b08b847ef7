/**
 * The client of `bench -- latency`: sends numbered frames at a steady rate into a contestant's ring, takes back what it
 * sends on, and keeps the time of each. Asked for CONTESTANT RATE MILLISECONDS (rate 0: as fast as they come back), it
 * answers with a {@link Run}.
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pinPollingThread, Reactor } from '../../drivers/libc/index.js';
import { WindowAllocator } from '../../drivers/memory/index.js';
import { VhostUserBackend } from '../../drivers/transports/vhost-user/backend.js';
import { udpFrame } from '../common/frames.js';
import { RoundTrips } from '../common/round-trips.js';
import { serve } from '../common/serve.js';
import { GENERATOR, STATION } from '../driver/scene.js';
import { CURVE, type Run, type Setup } from './setup.js';

const BYTES = 64;
/** Under way at most, without a rate: half a ring. */
const WINDOW = 512;
/** Rounds between two turns of the event loop; a turn takes some microseconds, which would be in the times. */
const ROUNDS = 4096;
/** How long answers are waited for at the end. */
const DRAIN_MS = 20;

const setup = JSON.parse(process.argv[2]) as Setup;
await pinPollingThread(setup.cpu);
const reactor = new Reactor();
const windows = new WindowAllocator();
const backends = setup.sockets.map((path) => new VhostUserBackend({ path, reactor, windows }));
const frame = udpFrame(BYTES, GENERATOR, STATION);
const trips = backends.map(({ pairs }) => new RoundTrips(pairs[0], frame, setup.samples));
const pauses: number[] = [];
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) pauses.push(duration);
}).observe({ entryTypes: ['gc'] });

/** A number of rounds of sending what is due and taking what is there; returns when it is over. */
function rounds(trip: RoundTrips, start: number, perMs: number, end: number): number {
  let now = performance.now();
  for (let i = 0; i < ROUNDS && now < end; i++) {
    const due = perMs === 0 ? WINDOW - trip.outstanding : Math.floor((now - start) * perMs) - trip.sent;
    if (due > 0) trip.send(due);
    trip.receive();
    now = performance.now();
  }
  return now;
}

async function run(trip: RoundTrips, perSecond: number, milliseconds: number): Promise<Run> {
  // What was under way when the contestant was stopped is none of this window's.
  while (trip.receive() > 0);
  trip.forget();
  pauses.length = 0;
  const start = performance.now();
  const end = start + milliseconds;
  let now = start;
  while (now < end) {
    now = rounds(trip, start, perSecond / 1000, end);
    await nextTurn();
  }
  const rate = trip.answered / ((now - start) / 1000);
  const deadline = performance.now() + DRAIN_MS;
  while (trip.outstanding > 0 && performance.now() < deadline) trip.receive();
  // The observer's entries come in a turn of their own.
  await nextTurn();
  const collections = pauses.length;
  const longestPauseMs = Math.max(0, ...pauses);
  const { sent, answered } = trip;
  return { sent, answered, rate, curve: curveOf(trip), collections, longestPauseMs };
}

function curveOf({ samples, recorded }: RoundTrips): number[] {
  const sorted = samples.slice(0, recorded).sort();
  return CURVE.map((percent) => sorted[Math.max(0, Math.ceil((recorded * percent) / 100) - 1)] ?? 0);
}

process.on('exit', () => {
  for (const backend of backends) backend.close();
});
process.once('SIGTERM', () => process.exit());
serve(
  ([which, rate, milliseconds]) => run(trips[Number(which)], Number(rate), Number(milliseconds)),
  () => process.exit(),
);
