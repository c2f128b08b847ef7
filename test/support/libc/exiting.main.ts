/**
 * A process that exits while one of its threads is in code that must not be interrupted, and another one is about to
 * enter it. Prints the events in their order.
 */
import { writeSync } from 'node:fs';
import { getEnvironmentData, isMainThread, threadId, Worker, workerData } from 'node:worker_threads';
import { uninterrupted } from '../../../drivers/libc/ffi/uninterrupted.js';

const say = (line: string): void => void writeSync(1, `${line}\n`);

if (isMainThread) {
  // [the first thread is inside, the process exits]
  const events = new Int32Array(new SharedArrayBuffer(8));
  const url = new URL(import.meta.url);
  new Worker(url, { workerData: { events, isLate: false } });
  new Worker(url, { workerData: { events, isLate: true } });
  const timer = setInterval(() => {
    if (Atomics.load(events, 0) === 0) return;
    clearInterval(timer);
    say('exit');
    Atomics.store(events, 1, 1);
    Atomics.notify(events, 1);
    process.exit(3);
  }, 1);
} else {
  const { events, isLate } = workerData as { events: Int32Array; isLate: boolean };
  if (isLate) {
    const words = new Int32Array(getEnvironmentData('tspmd.uninterrupted') as SharedArrayBuffer);
    // Until the exit has begun to wait for the other thread.
    while (Atomics.load(words, 0) < 0x10000) Atomics.wait(words, 1, 0, 1);
    uninterrupted(() => say('too late'));
    say('not terminated');
  }
  uninterrupted(() => {
    Atomics.store(events, 0, threadId);
    Atomics.wait(events, 1, 0);
    // Long enough for Node to terminate this thread, if it does not wait.
    Atomics.wait(events, 1, 1, 200);
    say('ended in good order');
  });
}
