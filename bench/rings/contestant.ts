/**
 * A ring of ours or of npm's ringbuf.js, in a process of its own: packets (a handle and a length each) through
 * the ring, by one thread or from one to another. Asked `THREADS BURST MILLISECONDS`, it answers with elements a second.
 */
import { Worker } from 'node:worker_threads';
import { pinPollingThread } from '../../drivers/libc/index.js';
import { serve } from '../common/serve.js';
import { type Kind, openRing, ROUNDS, runWindow, type Side, WARM_UP_MS, type Window } from './ring.js';

export interface Setup {
  readonly kind: Kind;
  /** Where each end runs. */
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

serve(
  ([threads, burst, milliseconds]) =>
    threads === '1' ? oneThread(Number(burst), Number(milliseconds)) : twoThreads(Number(burst), Number(milliseconds)),
  () => process.exit(),
);
