/** A contestant with a backend of its own: testpmd's vhost library, which is the same for both and counts for both. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Child } from '../../scripts/child.js';
import { Testpmd } from '../../scripts/testpmd.js';
import { benchCpus } from '../common/cpus.js';
import { hasHugepages } from '../common/hugepages.js';
import { Served } from '../common/serve.js';
import { Troupe } from '../common/windows.js';
import type { Count, Setup } from './contestant.js';
import { frameArguments, MODES, peerOptions, type Scene } from './scene.js';

/** Packets a second of one window. */
export interface Window {
  /** As the backend counted them: received from the contestant, or, of Rx, put into its ring. */
  readonly rate: number;
  /** As the contestant counted them. */
  readonly own: number;
}

/** What the contestant's own count of a window comes from. */
type Counter = () => Promise<Count>;

export class Stage {
  private readonly troupe: Troupe;

  private constructor(
    readonly name: 'tspmd' | 'dpdk',
    private readonly scene: Scene,
    private readonly backend: Testpmd,
    frontend: Child,
    private readonly count: Counter,
    private readonly folder: string,
  ) {
    this.troupe = new Troupe([frontend, backend.child]);
  }

  /** Starts backend and contestant; resolves when packets can flow. Nothing is left when it rejects. */
  static async open(name: 'tspmd' | 'dpdk', scene: Scene): Promise<Stage> {
    const folder = mkdtempSync(join(tmpdir(), 'tspmd-bench-'));
    const socket = join(folder, 'vhost.sock');
    const { common, contestant } = benchCpus();
    const hugepages = hasHugepages();
    const args = frameArguments(scene.bytes);
    const modes = MODES[scene.direction];
    const shared = { hugepages, onDemand: true } as const;
    const backend = Testpmd.backend(socket, { ...shared, forward: modes.backend, args, cpu: common });
    let frontend: Child | null = null;
    try {
      await backend.started();
      let count: Counter;
      if (name === 'tspmd') {
        const served = await Served.start('driver/contestant.js', {
          socket,
          scene,
          cpu: contestant,
          hugepages,
        } satisfies Setup);
        frontend = served.child;
        count = () => served.ask<Count>('count');
      } else {
        const device = peerOptions(scene.ring);
        const own = [...args, `--burst=${scene.burst}`];
        const peer = Testpmd.frontend(socket, { ...shared, forward: modes.peer, args: own, cpu: contestant, device });
        frontend = peer.child;
        await peer.started();
        count = async () => {
          const { rxPackets, txPackets } = await peer.portStats();
          return { packets: scene.direction === 'rx' ? rxPackets : txPackets, milliseconds: performance.now() };
        };
      }
      return new Stage(name, scene, backend, frontend, count, folder);
    } catch (error) {
      await Promise.allSettled([frontend?.stop(), backend.child.stop()]);
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  get pids(): number[] {
    return this.troupe.pids;
  }

  pause(): void {
    this.troupe.pause();
  }

  resume(): void {
    this.troupe.resume();
  }

  /** Measures from now on, for `seconds`. */
  async measure(seconds: number): Promise<Window> {
    await this.backend.portStats();
    const before = await this.count();
    await sleep(seconds * 1000);
    const { rxRate, txRate } = await this.backend.portStats();
    const after = await this.count();
    const own = (after.packets - before.packets) / ((after.milliseconds - before.milliseconds) / 1000);
    return { rate: this.scene.direction === 'rx' ? txRate : rxRate, own };
  }

  async close(): Promise<void> {
    try {
      await this.troupe.stop();
    } finally {
      rmSync(this.folder, { recursive: true, force: true });
    }
  }
}
