/**
 * A contestant: a server in a guest of its own, and the load at the other port of its switch. It is stopped (SIGSTOP)
 * while another one is measured, and keeps its compiled code.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchProcess } from '../common/bench-process.js';
import { benchCpus, cpuSeconds } from '../common/cpus.js';
import { busyPart } from '../common/load/busy-time.js';
import { SERVER } from '../common/sides.js';
import { PausableProcesses } from '../common/windows.js';
import { SharedGuest } from '../vm/shared-guest.js';
import type { Answer, LoadSetup, Window, Work } from './rows.js';
import type { Server } from './servers.js';
import { guestTime, type Shares } from './shares.js';
import { serverSocket } from './switched-device.js';

/** Time after a pause until what was under way flows again, in ms. */
const SETTLE_MS = 250;
/** The code is compiled when for so many seconds no rate was so much above the best one before. */
const STEADY_SECONDS = 3;
const GROWTH = 1.05;

export class GuestSide {
  /** The load and the machine. */
  readonly processes: PausableProcesses;

  private constructor(
    private readonly server: Server,
    private readonly folder: string,
    readonly load: BenchProcess,
    private readonly guest: SharedGuest,
  ) {
    const machine = {
      get pid(): number {
        return guest.machinePid;
      },
      get isRunning(): boolean {
        return guest.isRunning;
      },
      signal: (signal: NodeJS.Signals): void => void process.kill(guest.machinePid, signal),
      stop: () => guest.close(),
    };
    this.processes = new PausableProcesses([load.child, machine]);
  }

  /**
   * Boots the guest, and starts the server.
   * @param timeoutSeconds the machine ends after this time
   */
  static async open(server: Server, timeoutSeconds: number): Promise<GuestSide> {
    const { common, contestant } = benchCpus();
    const folder = mkdtempSync(join(tmpdir(), 'tspmd-bench-'));
    const socket = join(folder, 'load.sock');
    const load = await BenchProcess.start('tcp-vm/load.js', { socket, cpu: common } satisfies LoadSetup);
    const guest = new SharedGuest({
      ...{ mode: 'no-iommu', kernelDriver: true, cpu: contestant, timeoutSeconds },
      netdev: `vhost-user:${serverSocket(socket)},mac=${SERVER.mac}`,
      // The server's command prepares the NIC.
      prepare: 'true',
    });
    const side = new GuestSide(server, folder, load, guest);
    try {
      await guest.booted();
      await guest.begin(server);
      return side;
    } catch (error) {
      await side.close();
      throw error;
    }
  }

  get name(): string {
    return this.server.name;
  }

  /** What the guest has written until now. */
  get output(): string {
    return this.guest.output;
  }

  /** Begins the work of a row. */
  async begin(work: Work): Promise<void> {
    await this.ask('open', JSON.stringify(work));
  }

  /** Ends it. */
  async end(): Promise<void> {
    await this.ask('close');
  }

  /**
   * Works until V8 and QEMU have compiled the code of the row: the rate grows no more. For seconds it is that of V8's
   * interpreter.
   * @param least CPU seconds that the guest gets at least: on a busy host they take longer
   * @param longest in seconds
   */
  async warmUp(least: number, longest: number): Promise<void> {
    const { machinePid } = this.guest;
    const began = cpuSeconds(machinePid);
    let best = 0;
    let steady = 0;
    for (let second = 1; second <= longest; second++) {
      const { done } = await this.window(1000);
      steady = done > best * GROWTH ? 0 : steady + 1;
      if (steady >= STEADY_SECONDS && cpuSeconds(machinePid) - began >= least) return;
      best = Math.max(best, done);
    }
  }

  async measure(milliseconds: number): Promise<[Window, Shares]> {
    const { guest, server } = this;
    await sleep(SETTLE_MS);
    const [statBefore, before] = [await guest.stat(), await server.busyTime?.(guest)];
    const window = await this.window(milliseconds);
    const [after, statAfter] = [await server.busyTime?.(guest), await guest.stat()];
    const time = guestTime(statBefore, statAfter);
    const own = { guest: time, load: window.busy - window.switchBusy, switch: window.switchBusy };
    if (before === undefined || after === undefined) return [window, { ...own, server: 1 - time.idle - time.iowait }];
    return [window, { ...own, server: busyPart(before, after) }];
  }

  async close(): Promise<void> {
    try {
      this.processes.resume();
    } catch {
      // A part has ended by itself; the others are ended now.
    }
    await this.guest.close();
    await this.load.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async window(milliseconds: number): Promise<Window> {
    const window = await this.ask('window', milliseconds);
    if (window === null) throw new Error('the load has measured nothing');
    return window;
  }

  private async ask(...words: (string | number)[]): Promise<Window | null> {
    const answer = await this.load.ask<Answer>(...words);
    if ('fault' in answer) throw new Error(`${this.name}: ${answer.fault}`);
    return answer.value;
  }
}
