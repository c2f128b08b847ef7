/** One end of a ring between two threads. The consumer measures elements per second. */
import { parentPort, workerData } from 'node:worker_threads';
import { pinPollingThread } from '../../drivers/libc/index.js';
import { openRing, type Ring, ROUNDS, runWindow, type Side, WARM_UP_MS } from './ring.js';

const { kind, memory, burst, cpu, role, milliseconds } = workerData as Side;

/** Produces until the thread is terminated. */
function produce(ring: Ring): never {
  for (;;) ring.put();
}

function consume(ring: Ring): number {
  let elements = 0;
  for (let i = 0; i < ROUNDS; i++) elements += ring.take();
  return elements;
}

await pinPollingThread(cpu);
const ring = await openRing(kind, burst, memory);
if (role === 'produce') produce(ring);
const turn = (): number => consume(ring);
runWindow(turn, WARM_UP_MS, 2);
parentPort?.postMessage(runWindow(turn, milliseconds, 2));
