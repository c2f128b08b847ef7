/**
 * `bench -- pipeline`: measures the way from the NIC to a stack and back in the layouts 1kb and 2kb, and compares it
 * with layout single, which the seed calls Case I. The NIC costs almost nothing (endless-nic.ts), and the stack sends
 * every packet back, so the rest is the cost of the layers.
 */
import { type Benchmark, measureEach } from '../common/benchmark.js';
import { allowedCpus } from '../common/cpus.js';
import type { Row } from '../report/report.js';
import { HOPS, measureHops } from './hop.js';
import { cpusFor, measureThreads, THREAD_ROWS } from './threads.js';

const QUICK = ['hop/1/1', 'hop/64/100000', 'flat/64/100000', 'hop-2kb/1/1', 'threads/1kb', 'stall/4'];

export const pipeline: Benchmark = {
  summary: 'NIC to stack and back in layouts 1kb and 2kb, against single: the hop through the rings, 1 to 64 cores',
  rows: [...HOPS.map(({ name }) => name), ...THREAD_ROWS],
  quickRows: QUICK,

  missing(rows) {
    const needed = Math.max(0, ...rows.filter((name) => THREAD_ROWS.includes(name)).map(cpusFor));
    return allowedCpus().length >= needed ? [] : [`${needed} CPUs`];
  },

  async measure(rows, plan) {
    const hops = HOPS.filter(({ name }) => rows.includes(name));
    const threads = THREAD_ROWS.filter((name) => rows.includes(name)).map((name) => ({ name }));
    const measured: Row[] = await measureHops(hops, plan);
    if (threads.length > 0) {
      const others = measureEach(threads, plan, ({ name }) => measureThreads(name, plan));
      measured.push(
        ...(await others.catch((error: Error) => {
          plan.stop.throwIfAborted();
          if (measured.length === 0) throw error;
          return [];
        })),
      );
    }
    if (measured.length === 0) throw new Error('no row could be measured');
    return measured;
  },
};
