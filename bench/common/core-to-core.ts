/**
 * Measures the round trip of a cache line between two CPUs, in nanoseconds. It decides more than any code how fast a
 * ring between two threads is. On virtual machines it changes when the hypervisor moves the virtual CPUs, so it is
 * measured before and after each row.
 */
import { Worker } from 'node:worker_threads';

const WORKER = new URL('./core-to-core.worker.js', import.meta.url);
const TIMEOUT_MS = 10_000;

/** The data of both workers. */
export interface PingPong {
  readonly memory: SharedArrayBuffer;
  readonly cpu: number;
  /** `ping` asks and measures, `pong` answers. */
  readonly role: 'ping' | 'pong';
}

/** Bytes of the shared memory: two words on different cache lines. */
export const PING_PONG_BYTES = 256;

/**
 * Returns the median round trip in nanoseconds; null when the CPUs had no time for it. The CPUs should have nothing
 * else to do.
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
