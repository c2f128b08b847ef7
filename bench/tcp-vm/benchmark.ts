/**
 * `bench -- tcp-vm`: TCP servers in a guest, above our driver and stack, and on the guest's kernel. In one guest, they take
 * turns at the same NIC, which is a port of the embedded switch. The load is on the host.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { whenAborted } from '../../drivers/stop-signal.js';
import { isInstalled } from '../../scripts/programs.js';
import { findGuest, isNoIommuPossible, NO_IOMMU_REMEDY } from '../../scripts/vm/cache.js';
import { BenchProcess } from '../common/bench-process.js';
import { type Benchmark, firstLine, type Plan } from '../common/benchmark.js';
import { benchCpus } from '../common/cpus.js';
import { NoiseGuard } from '../common/noise.js';
import { SERVER } from '../common/sides.js';
import type { Row } from '../report/report.js';
import { SharedGuest } from '../vm/shared-guest.js';
import { Measured } from './measured.js';
import { type Answer, type Group, type LoadSetup, VM_ROWS, type VmRow, type Window } from './rows.js';
import { type Server, serversOf } from './servers.js';
import { guestTime, type Shares } from './shares.js';
import { serverSocket } from './switched-device.js';

const SETUP = "run 'npm run setup:peers' as root";
/** The time limit allows for the boot, and for slow starts and stops in each turn. */
const BOOT_SECONDS = 60;
const TURN_SECONDS = 60;

/** Times in seconds. */
interface Timing {
  readonly turns: number;
  /** Shortest and longest warm-up of a row in a turn. */
  readonly warmUp: readonly [number, number];
  readonly windows: number;
  readonly window: number;
}

const timing = (isQuick: boolean): Timing =>
  isQuick
    ? { turns: 1, warmUp: [1, 1], windows: 2, window: 0.5 }
    : { turns: 3, warmUp: [9, 20], windows: 2, window: 1.5 };

/** The code of a row is compiled when the rate of a second is at most so much above the best one before. */
const WARM = 1.05;

/** The machine, the load, and what was measured. */
class Comparison {
  private readonly measured: Map<VmRow, Measured>;

  private constructor(
    private readonly rows: readonly VmRow[],
    private readonly plan: Plan,
    private readonly folder: string,
    private readonly load: BenchProcess,
    private readonly guest: SharedGuest,
    guards: readonly NoiseGuard[],
  ) {
    this.measured = new Map(rows.map((row, i) => [row, new Measured(row, guards[i])]));
  }

  /** Boots the guest. */
  static async open(rows: readonly VmRow[], plan: Plan): Promise<Comparison> {
    const { common, contestant } = benchCpus();
    const { turns, warmUp, windows, window } = timing(plan.isQuick);
    const folder = mkdtempSync(join(tmpdir(), 'tspmd-bench-'));
    const socket = join(folder, 'load.sock');
    // The round trip of a cache line between the CPUs matters little to an emulated guest.
    const guards = await Promise.all(rows.map(() => NoiseGuard.begin(false)));
    const load = await BenchProcess.start('tcp-vm/load.js', { socket, cpu: common } satisfies LoadSetup);
    const guest = new SharedGuest({
      mode: 'no-iommu',
      netdev: `vhost-user:${serverSocket(socket)},mac=${SERVER.mac}`,
      kernelDriver: true,
      cpu: contestant,
      // Each server prepares the NIC itself.
      prepare: 'true',
      timeoutSeconds:
        BOOT_SECONDS +
        turns * 2 * (groupsOf(rows).length * TURN_SECONDS + rows.length * (warmUp[1] + windows * window)),
    });
    const comparison = new Comparison(rows, plan, folder, load, guest, guards);
    try {
      await guest.booted();
      return comparison;
    } catch (error) {
      await comparison.close();
      throw error;
    }
  }

  /** Lets the contestants take turns. Rejects when no row could be measured. */
  async run(): Promise<Row[]> {
    const { turns } = timing(this.plan.isQuick);
    const groups = groupsOf(this.rows).map((group) => ({ group, servers: serversOf(group, this.folder) }));
    for (let turn = 0; turn < turns; turn++) {
      for (const { group, servers } of groups) {
        for (const server of servers) await this.play(group, server);
      }
    }
    const whole: Row[] = [];
    for (const measured of this.measured.values()) {
      if (measured.fault === null) whole.push(await measured.row(this.guest.output));
    }
    if (whole.length > 0) return whole;
    throw [...this.measured.values()][0].fault;
  }

  async close(): Promise<void> {
    await this.guest.close();
    await this.load.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** One turn of a server. */
  private async play(group: Group, server: Server): Promise<void> {
    const rows = [...this.measured.values()].filter(({ spec, fault }) => spec.group === group && fault === null);
    if (rows.length === 0) return;
    try {
      await this.guest.during(server, async () => {
        for (const row of rows) await this.measure(row, server).catch((error: Error) => this.lose(row, error));
      });
    } catch (error) {
      for (const row of rows) this.lose(row, error as Error);
    }
  }

  private async measure(measured: Measured, server: Server): Promise<void> {
    const { warmUp, windows, window } = timing(this.plan.isQuick);
    const { spec, guard } = measured;
    await this.ask('open', JSON.stringify(spec.work));
    await this.warmUp(warmUp);
    for (let i = 0; i < windows; i++) {
      const [done, shares] = await guard.watch([this.load.child.pid], () => this.window(server, window * 1000));
      measured.add(server.name, done, shares);
      this.plan.progress(`${spec.name}: ${server.name} ${Math.round(done.done / done.seconds)} ${spec.unit}`);
    }
    await this.ask('close');
  }

  /**
   * Returns when V8 and QEMU have compiled the code of the row: the rate grows no more. For seconds it is that of V8's
   * interpreter.
   */
  private async warmUp([shortest, longest]: readonly [number, number]): Promise<void> {
    let best = 0;
    for (let second = 1; second <= longest; second++) {
      const done = (await this.ask('window', 1000))?.done ?? 0;
      if (second >= shortest && done <= best * WARM) return;
      best = Math.max(best, done);
    }
  }

  private async window({ busyTime }: Server, milliseconds: number): Promise<[Window, Shares]> {
    const { guest } = this;
    const [statBefore, before] = [await guest.stat(), await busyTime?.(guest)];
    const window = await this.ask('window', milliseconds);
    const [after, statAfter] = [await busyTime?.(guest), await guest.stat()];
    if (window === null) throw new Error('the load has measured nothing');
    const time = guestTime(statBefore, statAfter);
    const own = { guest: time, load: window.busy - window.switchBusy, switch: window.switchBusy };
    if (before === undefined || after === undefined) return [window, { ...own, server: 1 - time.idle - time.iowait }];
    const busy = after.busyMs - before.busyMs;
    return [window, { ...own, server: busy / (busy + after.idleMs - before.idleMs) }];
  }

  private async ask(...words: (string | number)[]): Promise<Window | null> {
    const answer = await this.load.ask<Answer>(...words);
    if ('fault' in answer) throw new Error(answer.fault);
    return answer.value;
  }

  private lose(measured: Measured, error: Error): void {
    this.plan.stop.throwIfAborted();
    if (measured.fault !== null) return;
    measured.fault = error;
    this.plan.lost(measured.spec.name, firstLine(error));
  }
}

const groupsOf = (rows: readonly VmRow[]): Group[] => [...new Set(rows.map(({ group }) => group))];

const select = (names: readonly string[]): VmRow[] => VM_ROWS.filter(({ name }) => names.includes(name));

export const tcpVm: Benchmark = {
  summary: "TCP servers in a guest VM: requests and bytes per second, against Node and nginx on the guest's kernel",
  rows: VM_ROWS.map(({ name }) => name),

  missing(names) {
    const needs = [
      'qemu-system-x86_64',
      'ethtool',
      ...(select(names).some(({ group }) => group === 'http') ? ['nginx'] : []),
    ];
    const missing = needs.filter((program) => !isInstalled(program)).map((program) => `${program} (${SETUP})`);
    if (findGuest() === undefined) missing.push(`a guest VM (${SETUP})`);
    else if (!isNoIommuPossible())
      missing.push(`a guest with a vfio.ko that works without an IOMMU (${NO_IOMMU_REMEDY})`);
    return missing;
  },

  async measure(names, plan) {
    const comparison = await Comparison.open(select(names), plan);
    const ended = whenAborted(plan.stop).then((): never => {
      throw plan.stop.reason;
    });
    try {
      return await Promise.race([comparison.run(), ended]);
    } finally {
      await comparison.close();
    }
  },
};
