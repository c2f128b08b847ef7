/** The contestants: a server with its load on the other CPU, or a server that needs neither. */
import { fileURLToPath } from 'node:url';
import { Child } from '../../scripts/child.js';
import { PAGE } from '../../src/apps/http/answers.js';
import { BenchProcess } from '../common/bench-process.js';
import { benchCpus } from '../common/cpus.js';
import { openKernelSide, openOurSide, SERVER, type ServerPlace, type Side, type SideOptions } from '../common/sides.js';
import { PausableProcesses } from '../common/windows.js';
import type { Certificate } from './certificate.js';
import { HELLO } from './hello.js';
import { configureNginx, NGINX_READY } from './nginx.js';
import type { CeilingSetup, Run } from './setup.js';

const NODE_SERVER = fileURLToPath(new URL('node-server.js', import.meta.url));
const PLAIN: SideOptions<object> = { load: 'http/load.js' };

/** What was measured in one window. */
export interface Window {
  readonly perSecond: number;
  /** Requests per CPU second of the server. One that spins counts only while it has work. */
  readonly perCpuSecond: number;
  /** 0 where there is no load. */
  readonly p99Us: number;
  /** Share of the time in which the server had work, and the load. */
  readonly serverBusy: number;
  readonly loadBusy: number;
}

export interface Contestant {
  readonly name: string;
  readonly processes: PausableProcesses;
  measure(milliseconds: number): Promise<Window>;
  close(): Promise<void>;
}

/** Opens a contestant. */
export type Open = () => Promise<Contestant>;

/** The app `http`, which spins. */
export const openApp: Open = async () => {
  const side = await openOurSide('tspmd', PLAIN, (place) =>
    Child.tspmd('run', ...addressing(place), '--app', 'http', '--idle', 'spin'),
  );
  return served(side, await LoopTimes.of(side.server));
};

/** nginx on the kernel. @param folder for its files, in a folder that is removed */
export const nginxIn =
  (folder: string): Open =>
  async () =>
    served(
      await openKernelSide('nginx', { ...PLAIN, ready: NGINX_READY }, (run) =>
        run('nginx', ...configureNginx(folder, PAGE)),
      ),
    );

/** Node's `http` on the kernel, with the answer of our app. */
export const openNodePage: Open = () => openNode('node-http', PLAIN, PAGE);

/** Node's `http` on the kernel. */
export const openNodeHello: Open = () => openNode('node-http', PLAIN, HELLO);

/** Node's `http` under `tspmd exec`. */
export const openExecHello: Open = () => openExec(PLAIN, HELLO);

/** Node's `https` on the kernel, or under `tspmd exec`. */
export const secureWith = (certificate: Certificate): { kernel: Open; exec: Open } => {
  const options = { load: 'http/tls-load.js', setup: { certificate: certificate.certificate } };
  const files = [certificate.key, certificate.certificate];
  return {
    kernel: () => openNode('node-https', options, HELLO, ...files),
    exec: () => openExec(options, HELLO, ...files),
  };
};

/** Node's `http` without a network. */
export const openCeiling: Open = async () => {
  const setup: CeilingSetup = { cpu: benchCpus().contestant, host: SERVER.ip };
  const process = await BenchProcess.start('http/ceiling.js', setup);
  return {
    name: 'duplex',
    processes: new PausableProcesses([process.child]),
    measure: async (milliseconds) => windowOf(await process.ask<Run>('run', milliseconds)),
    close: () => process.stop(),
  };
};

async function openNode(name: string, options: SideOptions<object>, ...args: string[]): Promise<Contestant> {
  return served(await openKernelSide(name, options, (run) => run(process.execPath, NODE_SERVER, ...args)));
}

async function openExec(options: SideOptions<object>, ...args: string[]): Promise<Contestant> {
  return served(
    await openOurSide('tspmd', options, (place) =>
      Child.tspmd('exec', ...addressing(place), '--', NODE_SERVER, ...args),
    ),
  );
}

function addressing({ device, ip, mac, cpu, offloads }: ServerPlace): string[] {
  return ['--device', device, '--ip', ip, '--mac', mac, '--cores', String(cpu), '--offloads', offloads];
}

/** @param times of a server that spins, whose CPU time says nothing */
function served({ name, server, load, processes, close }: Side, times?: LoopTimes): Contestant {
  return {
    ...{ name, processes, close },
    async measure(milliseconds) {
      await times?.share();
      const run = await load.ask<Run>('run', milliseconds, server.pid);
      const window = windowOf(run);
      if (times === undefined) return window;
      const serverBusy = await times.share();
      return { ...window, serverBusy, perCpuSecond: Math.round(window.perCpuSecond / Math.max(serverBusy, 0.01)) };
    },
  };
}

function windowOf({ requests, seconds, p99Us, busy, cpuSeconds }: Run): Window {
  const cpu = Math.max(cpuSeconds, 0.01);
  return {
    ...{ perSecond: Math.round(requests / seconds), perCpuSecond: Math.round(requests / cpu), p99Us },
    ...{ serverBusy: cpuSeconds / seconds, loadBusy: busy },
  };
}

/** How long the loop of `tspmd run` worked and polled in vain: it tells at SIGUSR1. */
class LoopTimes {
  private busyMs = 0;
  private idleMs = 0;

  private constructor(private readonly server: Child) {}

  static async of(server: Child): Promise<LoopTimes> {
    const times = new LoopTimes(server);
    await times.share();
    return times;
  }

  /** Returns the share since the call before in which it worked. */
  async share(): Promise<number> {
    const { server, busyMs, idleMs } = this;
    const from = server.output.length;
    server.signal('SIGUSR1');
    const [, idle] = await server.waitFor(/^loop_idle_ms\s+(\S+)\s/m, undefined, from);
    // It is in front, unless it is 0.
    const [, busy = 0] = /^loop_busy_ms\s+(\S+)\s/m.exec(server.output.slice(from)) ?? [];
    this.busyMs = Number(busy);
    this.idleMs = Number(idle);
    const all = this.busyMs - busyMs + this.idleMs - idleMs;
    return all > 0 ? (this.busyMs - busyMs) / all : 1;
  }
}
