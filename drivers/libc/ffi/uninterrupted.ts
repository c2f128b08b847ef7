/**
 * Runs code that the end of the process must not interrupt.
 *
 * When a process exits, Node terminates its worker threads wherever they are. Inside koffi's set-up that is fatal: the
 * addon cannot throw in a thread that is being terminated, and Node aborts the process (exit code 134). Therefore
 * threads count themselves in and out around such code, in one word that all threads of the process share. The exit
 * waits until no thread is inside.
 */
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

/** Name of the word among the data that worker threads inherit. */
const KEY = 'tspmd.uninterrupted';
/** Added to the count when the process exits: from then on no thread may begin. */
const EXITING = 0x10000;
/** Longest wait of an exit, in ms. A thread that takes longer is terminated all the same. */
const EXIT_WAIT_MS = 10_000;

/** Word 0: number of threads inside. Word 1: not used; threads that come too late wait on it. */
const words = inheritOrCreate();

function inheritOrCreate(): Int32Array {
  const inherited = getEnvironmentData(KEY);
  if (inherited instanceof SharedArrayBuffer) return new Int32Array(inherited);
  const created = new Int32Array(new SharedArrayBuffer(8));
  setEnvironmentData(KEY, created.buffer);
  process.once('exit', () => waitForThreads(created));
  return created;
}

function waitForThreads(shared: Int32Array): void {
  const deadline = performance.now() + EXIT_WAIT_MS;
  let inside = Atomics.add(shared, 0, EXITING);
  while (inside > 0) {
    const left = deadline - performance.now();
    if (left <= 0 || Atomics.wait(shared, 0, EXITING + inside, left) === 'timed-out') return;
    inside = Atomics.load(shared, 0) - EXITING;
  }
}

/**
 * Runs `code`, which must be short and must not wait for another thread. If the process exits meanwhile, the exit
 * waits; if it is exiting already, `code` does not run and the thread waits to be terminated.
 */
export function uninterrupted<T>(code: () => T): T {
  if (Atomics.add(words, 0, 1) >= EXITING) {
    leave();
    Atomics.wait(words, 1, 0);
  }
  try {
    return code();
  } finally {
    leave();
  }
}

function leave(): void {
  Atomics.sub(words, 0, 1);
  Atomics.notify(words, 0);
}
