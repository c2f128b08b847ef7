/** `bench -- tcp`: our TCP/IP stack against programs on the kernel's. Each group of rows has a folder. */
import { type Benchmark, measureEach } from '../common/benchmark.js';
import { bulkRows } from './bulk/rows.js';
import { idleRows } from './idle/rows.js';
import { requestRows } from './requests/rows.js';
import type { TcpRows } from './rows.js';
import { scaleRows } from './scale/rows.js';

const GROUPS: readonly TcpRows[] = [requestRows, bulkRows, idleRows, scaleRows];

const groupOf = (name: string): TcpRows => GROUPS.find(({ names }) => names.includes(name))!;

export const tcp: Benchmark = {
  summary: "TCP by our stack, against Node's net and C programs on the kernel's network",
  rows: GROUPS.flatMap(({ names }) => names),
  quickRows: GROUPS.flatMap(({ quick }) => quick),

  missing: (rows) => [...new Set(rows.flatMap((name) => groupOf(name).missing(name)))],

  measure: (rows, plan) =>
    measureEach(
      rows.map((name) => ({ name })),
      plan,
      ({ name }) => groupOf(name).measure(name, plan),
    ),
};
