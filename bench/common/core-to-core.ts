/**
 * The round trip of a cache line between two CPUs, in nanoseconds: what decides more than any driver how fast a ring
 * between two threads is. On virtual machines it changes with where the hypervisor has put the virtual CPUs, so it is
 * measured before and after each row.
 */
import { Worker } from 'node:worker_threads';

const WORKER = new URL('./core-to-core.worker.js', import.meta.url);
const TIMEOUT_MS = 10_000;

/** What both workers are given. */
export interface PingPong {
  readonly memory: SharedArrayBuffer;
  readonly cpu: number;
  /** The one that asks and measures, or the one that answers. */
  readonly role: 'ping' | 'pong';
}

/** Bytes of the shared memory: two words on lines of their own. */
export const PING_PONG_BYTES = 256;

/**
 * Nanoseconds of a round trip, the median of many; null where the CPUs had no time for it. They should have nothing else to
 * do meanwhile.
 */
export async function coreToCoreNs(first: number, second: number): Promise<number | null> {
  const memory = new SharedArrayBuffer(PING_PONG_BYTES);
  const start = (cpu: number, role: PingPong['role']): Worker =>
    new Worker(WORKER, { workerData: { memory, cpu, role } satisfies PingPong });
  const pong = start(second, 'pong');
  const ping = start(first, 'ping');
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<number | null>((resolve, reject) => {
      timer = setTimeout(() => resolve(null), TIMEOUT_MS);
      ping.once('message', resolve);
      for (const worker of [ping, pong]) worker.once('error', reject);
    });
  } finally {
    clearTimeout(timer);
    await Promise.all([ping.terminate(), pong.terminate()]);
  }
}
