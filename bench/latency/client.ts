/**
 * The client of `bench -- latency`. It sends numbered frames at a steady rate to a contestant, takes them back, and
 * keeps the time of each. It answers a request of CONTESTANT RATE MILLISECONDS with a {@link Run}. Rate 0 means as fast
 * as the frames come back.
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { monotonicMs, pinPollingThread, Reactor } from '../../drivers/libc/index.js';
import { WindowAllocator } from '../../drivers/memory/index.js';
import { VhostUserBackend } from '../../drivers/transports/vhost-user/backend.js';
import { answerRequests } from '../common/bench-process.js';
import { udpFrame } from '../common/frames.js';
import { RoundTrips } from '../common/round-trips.js';
import { GENERATOR, STATION } from '../driver/rows.js';
import { CURVE, type Run, type Setup } from './setup.js';
import { Times } from './times.js';

const BYTES = 64;
/** Frames under way at rate 0: half a ring. */
const WINDOW = 512;
/** Rounds between two turns of the event loop. There are many, because the times include the microseconds of a turn. */
const ROUNDS = 4096;
/** How long the client waits for answers at the end, in ms. */
const DRAIN_MS = 20;

const setup = JSON.parse(process.argv[2]) as Setup;
await pinPollingThread(setup.cpu);
const reactor = new Reactor();
const windows = new WindowAllocator();
const backends = setup.sockets.map((path) => new VhostUserBackend({ path, reactor, windows }));
const frame = udpFrame(BYTES, GENERATOR, STATION);
const times = new Times();
const trips = backends.map(({ pairs }) => new RoundTrips(pairs[0], frame, times));
const pauses: number[] = [];
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) pauses.push(duration);
}).observe({ entryTypes: ['gc'] });

/** Takes the frames that came back and sends those that are due, for some rounds. */
function rounds(trip: RoundTrips, start: number, perMs: number, end: number): void {
  for (let i = 0; i < ROUNDS && trip.now < end; i++) {
    trip.receive();
    const due = perMs === 0 ? WINDOW - trip.outstanding : Math.floor((trip.now - start) * perMs) - trip.sent;
    if (due > 0) trip.send(due);
  }
}

async function run(trip: RoundTrips, perSecond: number, milliseconds: number): Promise<Run> {
  // Frames that were under way when the contestant was stopped do not belong to this window.
  while (trip.receive() > 0);
  trip.forget();
  times.clear();
  pauses.length = 0;
  const start = trip.now;
  const end = start + milliseconds;
  while (trip.now < end) {
    rounds(trip, start, perSecond / 1000, end);
    await nextTurn();
  }
  const rate = trip.answered / ((trip.now - start) / 1000);
  const deadline = monotonicMs() + DRAIN_MS;
  while (trip.outstanding > 0 && monotonicMs() < deadline) trip.receive();
  // The observer gets its entries in a turn of the event loop.
  await nextTurn();
  const collections = pauses.length;
  const longestPauseMs = Math.max(0, ...pauses);
  const { sent, answered } = trip;
  const curve = CURVE.map((percent) => times.percentile(percent));
  return { sent, answered, rate, curve, collections, longestPauseMs };
}

process.on('exit', () => {
  for (const backend of backends) backend.close();
});
process.once('SIGTERM', () => process.exit());
answerRequests(
  ([which, rate, milliseconds]) => run(trips[Number(which)], Number(rate), Number(milliseconds)),
  () => process.exit(),
);
