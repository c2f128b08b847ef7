/**
 * `bench -- http`: requests per second of small responses. `http/hello`: the sample app `http` against nginx and Node.
 * `exec/…`: one and the same Node server under `tspmd exec`, on the kernel, and without a network.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isInstalled } from '../../scripts/programs.js';
import { type Benchmark, measureEach, type Plan } from '../common/benchmark.js';
import { compared, figureOf, missingForTap } from '../common/kernel-side.js';
import { limitIn } from '../common/limit.js';
import { NoiseGuard } from '../common/noise.js';
import { KERNEL_SETTINGS } from '../common/sides.js';
import { alternate, timing } from '../common/windows.js';
import { type Row, row } from '../report/report.js';
import { makeCertificate } from './certificate.js';
import {
  type Contestant,
  nginxIn,
  type Open,
  openApp,
  openCeiling,
  openExecHello,
  openNodeHello,
  openNodePage,
  secureWith,
  type Window,
} from './contestants.js';
import { NGINX_SETTINGS } from './nginx.js';

/** Shorter windows do not say how much CPU time a server has used. */
const LEAST_WINDOW_MS = 400;

interface Spec {
  readonly name: string;
  /** Programs that it needs. */
  readonly programs: readonly string[];
  /** Ours first. @param folder for files; it is removed after the row */
  contestants(folder: string): readonly Open[];
  readonly more?: Readonly<Record<string, unknown>>;
}

const SPECS: readonly Spec[] = [
  {
    name: 'http/hello',
    programs: ['nginx'],
    contestants: (folder) => [openApp, nginxIn(join(folder, 'nginx')), openNodePage],
    more: { 'nginx settings': NGINX_SETTINGS },
  },
  { name: 'exec/hello', programs: [], contestants: () => [openExecHello, openNodeHello, openCeiling] },
  {
    name: 'exec/tls',
    programs: ['openssl'],
    contestants: (folder) => {
      const { exec, kernel } = secureWith(makeCertificate(folder));
      return [exec, kernel];
    },
  },
];

async function measure(spec: Spec, plan: Plan): Promise<Row> {
  const { windows, window, warmUp } = timing(plan.isQuick);
  const milliseconds = Math.max(window * 1000, LEAST_WINDOW_MS);
  const folder = mkdtempSync(join(tmpdir(), 'tspmd-bench-'));
  const contestants: Contestant[] = [];
  try {
    const guard = await NoiseGuard.begin();
    for (const open of spec.contestants(folder)) {
      const contestant = await open();
      contestants.push(contestant);
      await contestant.measure(warmUp * 1000);
      contestant.processes.pause();
    }
    const all = await alternate(contestants, windows, plan, ({ processes, spinning, measure, settle }) =>
      processes.during(() => guard.watch(spinning, () => measure(milliseconds)), settle),
    );
    return await summed(spec, contestants, all, guard);
  } finally {
    await Promise.allSettled(contestants.map((contestant) => contestant.close()));
    rmSync(folder, { recursive: true, force: true });
  }
}

async function summed(
  { name, more }: Spec,
  contestants: readonly Contestant[],
  all: readonly Window[][],
  guard: NoiseGuard,
): Promise<Row> {
  const by = <V>(value: (windows: Window[], contestant: string) => V): Record<string, V> =>
    Object.fromEntries(contestants.map((contestant, i) => [contestant.name, value(all[i], contestant.name)]));
  const { tspmd: ours, ...peers } = by((windows) => figureOf(windows, 'perSecond', 'requests/s'));
  const { tspmd: oursPerCpu, ...perCpu } = by((windows) => figureOf(windows, 'perCpuSecond', 'requests/CPU s'));
  const cpu = Object.entries(perCpu).map(([peer, figure]) => [peer, compared(peer, oursPerCpu, figure)]);
  return row(name, ours, peers, {
    noise: await guard.end([ours, ...Object.values(peers)]),
    more: {
      'per CPU second of the server': Object.fromEntries(cpu),
      'p99 of the latency': by((windows) => figureOf(windows, 'p99Us', 'µs').median),
      limit: by(limitIn),
      ...more,
      'kernel settings': KERNEL_SETTINGS,
    },
  });
}

export const http: Benchmark = {
  summary:
    "small HTTP responses: the app http against nginx, a Node server under tspmd exec against the kernel's network",
  rows: SPECS.map(({ name }) => name),

  missing(rows) {
    const programs = SPECS.filter(({ name }) => rows.includes(name)).flatMap(({ programs }) => programs);
    const lacks = programs.filter((program) => !isInstalled(program));
    return [...missingForTap(), ...lacks.map((program) => `${program} (run 'npm run setup:peers' as root)`)];
  },

  measure(rows, plan) {
    return measureEach(
      SPECS.filter(({ name }) => rows.includes(name)),
      plan,
      (spec) => measure(spec, plan),
    );
  },
};
