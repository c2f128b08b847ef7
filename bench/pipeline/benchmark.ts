/**
 * `bench -- pipeline`: from the NIC to a stack and back through 1 KB and 2 KB, next to Case I. The NIC costs next to
 * nothing (endless-nic.ts), the stack sends all back: what is left is what the layers cost.
 */
import type { Benchmark } from '../common/benchmark.js';
import { allowedCpus } from '../common/cpus.js';
import type { Row } from '../report/report.js';
import { HOPS, measureHops } from './hop.js';
import { cpusFor, measureThreads, THREAD_ROWS } from './threads.js';

const QUICK = ['hop/1/1', 'hop/64/100000', 'flat/64/100000', 'hop-2kb/1/1', 'threads/1kb', 'stall/4'];

export const pipeline: Benchmark = {
  summary: 'NIC to stack and back through 1 KB and 2 KB, against Case I: the hop through the rings, 1 to 64 cores',
  rows: [...HOPS.map(({ name }) => name), ...THREAD_ROWS],
  quickRows: QUICK,

  missing(rows) {
    const needed = Math.max(0, ...rows.filter((name) => THREAD_ROWS.includes(name)).map(cpusFor));
    return allowedCpus().length >= needed ? [] : [`${needed} CPUs`];
  },

  async measure(rows, plan) {
    const measured: Row[] = await measureHops(
      HOPS.filter(({ name }) => rows.includes(name)),
      plan,
    );
    for (const name of THREAD_ROWS) {
      if (!rows.includes(name)) continue;
      const done = await measureThreads(name, plan);
      plan.progress(`${name}: ratio ${Object.values(done.ratio).join(', ')}`);
      measured.push(done);
    }
    return measured;
  },
};
