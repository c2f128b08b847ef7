/**
 * Our ring or that of ringbuf.js, in a process of its own. Packets (a handle and a length) go through the ring, in one
 * thread or from one thread to another. It answers a request of THREADS BURST MILLISECONDS with elements per second.
 */
import { Worker } from 'node:worker_threads';
import { pinPollingThread } from '../../drivers/libc/index.js';
import { answerRequests } from '../common/bench-process.js';
import { type Kind, openRing, ROUNDS, runWindow, type Side, WARM_UP_MS, type Window } from './ring.js';

export interface Setup {
  readonly kind: Kind;
  /** The CPU of each end. */
  readonly cpus: readonly [number, number];
}

const { kind, cpus } = JSON.parse(process.argv[2]) as Setup;
await pinPollingThread(cpus[0]);

async function oneThread(burst: number, milliseconds: number): Promise<Window> {
  const ring = await openRing(kind, burst);
  const turn = (): number => {
    let elements = 0;
    for (let i = 0; i < ROUNDS; i++) {
      ring.put();
      elements += ring.take();
    }
    return elements;
  };
  runWindow(turn, WARM_UP_MS, 1);
  return runWindow(turn, milliseconds, 1);
}

async function twoThreads(burst: number, milliseconds: number): Promise<Window> {
  const { memory } = await openRing(kind, burst);
  const workers = (['produce', 'consume'] as const).map((role, i) => {
    const side: Side = { kind, memory, burst, cpu: cpus[i], role, milliseconds };
    return new Worker(new URL('./worker.js', import.meta.url), { workerData: side });
  });
  try {
    return await new Promise<Window>((resolve, reject) => {
      for (const worker of workers) {
        worker.once('error', reject);
        worker.once('message', resolve);
      }
    });
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

answerRequests(
  ([threads, burst, milliseconds]) =>
    threads === '1' ? oneThread(Number(burst), Number(milliseconds)) : twoThreads(Number(burst), Number(milliseconds)),
  () => process.exit(),
);
