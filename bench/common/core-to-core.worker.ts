/** One end of the measurement in core-to-core.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { pinPollingThread } from '../../drivers/libc/index.js';
import type { PingPong } from './core-to-core.js';

const ROUNDS = 500;
const BATCHES = 41;
const WARM_UP_BATCHES = 10;
const PING = 0;
/** The word is 128 bytes further on, because processors fetch cache lines in pairs. */
const PONG = 32;
/** Tells the other end to stop. */
const END = -1;

const { memory, cpu, role } = workerData as PingPong;
const words = new Int32Array(memory);
await pinPollingThread(cpu);

function batch(first: number): void {
  for (let i = first; i < first + ROUNDS; i++) {
    Atomics.store(words, PING, i);
    while (Atomics.load(words, PONG) !== i);
  }
}

function answer(): void {
  let last = 0;
  for (;;) {
    const now = Atomics.load(words, PING);
    if (now === END) return;
    if (now === last) continue;
    last = now;
    Atomics.store(words, PONG, now);
  }
}

if (role === 'pong') {
  answer();
} else {
  const times: number[] = [];
  let next = 1;
  for (let i = 0; i < WARM_UP_BATCHES + BATCHES; i++, next += ROUNDS) {
    const start = performance.now();
    batch(next);
    if (i >= WARM_UP_BATCHES) times.push(((performance.now() - start) * 1e6) / ROUNDS);
  }
  Atomics.store(words, PING, END);
  times.sort((a, b) => a - b);
  parentPort?.postMessage(times[times.length >> 1]);
}
