/**
 * A contestant with a backend of its own. The backend is testpmd with DPDK's vhost library; it counts the packets of
 * both.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Child } from '../../scripts/child.js';
import { Testpmd } from '../../scripts/testpmd.js';
import { BenchProcess } from '../common/bench-process.js';
import { benchCpus } from '../common/cpus.js';
import { hasHugepages } from '../common/hugepages.js';
import { PausableProcesses } from '../common/windows.js';
import type { Count, Setup } from './contestant.js';
import { frameArguments, MODES, peerOptions, type RowSpec } from './rows.js';

/** Packets per second in one window. */
export interface Window {
  /** By the backend's count: packets that it got from the contestant, or (Rx) put into the contestant's ring. */
  readonly rate: number;
  /** By the contestant's own count. */
  readonly own: number;
}

/** Asks the contestant for its own count. */
type Counter = () => Promise<Count>;

export class ContestantWithBackend {
  readonly processes: PausableProcesses;

  private constructor(
    readonly name: 'tspmd' | 'dpdk',
    private readonly spec: RowSpec,
    private readonly backend: Testpmd,
    frontend: Child,
    private readonly count: Counter,
    private readonly folder: string,
  ) {
    this.processes = new PausableProcesses([frontend, backend.child]);
  }

  /** Starts backend and contestant. Resolves when packets can flow. When it rejects, it has stopped both. */
  static async open(name: 'tspmd' | 'dpdk', spec: RowSpec): Promise<ContestantWithBackend> {
    const folder = mkdtempSync(join(tmpdir(), 'tspmd-bench-'));
    const socket = join(folder, 'vhost.sock');
    const { common, contestant } = benchCpus();
    const hugepages = hasHugepages();
    const args = frameArguments(spec.bytes);
    const modes = MODES[spec.direction];
    const shared = { hugepages, onDemand: true } as const;
    const backend = Testpmd.backend(socket, { ...shared, forward: modes.backend, args, cpu: common });
    let frontend: Child | null = null;
    try {
      await backend.started();
      let count: Counter;
      if (name === 'tspmd') {
        const process = await BenchProcess.start('driver/contestant.js', {
          socket,
          spec,
          cpu: contestant,
          hugepages,
        } satisfies Setup);
        frontend = process.child;
        count = () => process.ask<Count>('count');
      } else {
        const device = peerOptions(spec.ring);
        const own = [...args, `--burst=${spec.burst}`];
        const peer = Testpmd.frontend(socket, { ...shared, forward: modes.peer, args: own, cpu: contestant, device });
        frontend = peer.child;
        await peer.started();
        count = async () => {
          const { rxPackets, txPackets } = await peer.portStats();
          return { packets: spec.direction === 'rx' ? rxPackets : txPackets, milliseconds: performance.now() };
        };
      }
      return new ContestantWithBackend(name, spec, backend, frontend, count, folder);
    } catch (error) {
      await Promise.allSettled([frontend?.stop(), backend.child.stop()]);
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Measures for `seconds`, from now on. */
  async measure(seconds: number): Promise<Window> {
    await this.backend.portStats();
    const before = await this.count();
    await sleep(seconds * 1000);
    const { rxRate, txRate } = await this.backend.portStats();
    const after = await this.count();
    const own = (after.packets - before.packets) / ((after.milliseconds - before.milliseconds) / 1000);
    return { rate: this.spec.direction === 'rx' ? txRate : rxRate, own };
  }

  async close(): Promise<void> {
    try {
      await this.processes.stop();
    } finally {
      rmSync(this.folder, { recursive: true, force: true });
    }
  }
}
