/** A switch with its load. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Child } from '../../scripts/child.js';
import { BenchProcess } from '../common/bench-process.js';
import { benchCpus } from '../common/cpus.js';
import { hasHugepages } from '../common/hugepages.js';
import { PausableProcesses } from '../common/windows.js';
import type { Check, RowSpec, Run, Setup } from './rows.js';
import type { Contestant, Started } from './switches.js';

export interface Pair {
  readonly name: string;
  readonly load: BenchProcess;
  readonly switch: Child;
  readonly processes: PausableProcesses;
  /** Folder of both. It is removed last. */
  readonly folder: string;
}

export async function open({ name, hasNetwork, start }: Contestant, spec: RowSpec): Promise<Pair> {
  const folder = mkdtempSync(join(tmpdir(), 'tspmd-bench-'));
  let started: Started | null = null;
  try {
    started = await start(folder, spec);
    const { sockets, main, children } = started;
    const setup: Setup = { sockets, spec, cpu: benchCpus().contestant, hugepages: hasHugepages(), hasNetwork };
    const load = await BenchProcess.start(spec.traffic === 'vxlan' ? 'switch/vxlan-load.js' : 'switch/load.js', setup);
    return { name, load, switch: main, processes: new PausableProcesses([load.child, ...children]), folder };
  } catch (error) {
    await Promise.allSettled((started?.children ?? []).map((child) => child.stop()));
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/**
 * How long a switch may take until it forwards to new ports, in ms. OVS tells its thread about new ports by another
 * thread.
 */
const FLOWS_MS = 15_000;
const LOOK_MS = 100;

/** Resolves when frames arrive at all ports that count them. */
export async function untilFlowing({ name, load, switch: { output } }: Pair): Promise<void> {
  const deadline = performance.now() + FLOWS_MS;
  while (!(await load.ask<Run>('run', LOOK_MS)).isFlowing) {
    if (performance.now() > deadline) {
      throw new Error(`frames did not come through ${name} to every port for ${FLOWS_MS / 1000} s:\n${output}`);
    }
  }
}

const CHECK_MS = 200;

/** Rejects unless every byte that arrives is right, at all ports. */
export async function check({ name, load }: Pair): Promise<void> {
  const { right, wrong } = await load.ask<Check>('check', CHECK_MS);
  if (wrong > 0) throw new Error(`${name}: ${wrong} frames are not as they should be`);
  if (right.includes(0))
    throw new Error(`${name}: frames that arrived in ${CHECK_MS} ms, by port: ${right.join(', ')}`);
}
