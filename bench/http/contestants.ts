/** The contestants: a server with its load on the other CPU, or a server that needs neither. */
import { fileURLToPath } from 'node:url';
import { Child } from '../../scripts/child.js';
import { PAGE } from '../../src/apps/http/answers.js';
import { BenchProcess } from '../common/bench-process.js';
import { benchCpus } from '../common/cpus.js';
import { busyShare, type PollCount } from '../common/load/poll-meter.js';
import { openKernelSide, openOurSide, SERVER, type ServerPlace, type Side, type SideOptions } from '../common/sides.js';
import { PausableProcesses } from '../common/windows.js';
import type { Certificate } from './certificate.js';
import { HELLO } from './hello.js';
import { configureNginx, NGINX_READY } from './nginx.js';
import type { CeilingSetup, LoadRun, Run } from './setup.js';

const NODE_SERVER = fileURLToPath(new URL('node-server.js', import.meta.url));
const plain = (body: string): SideOptions<object> => ({ load: 'http/load.js', setup: { bodyBytes: body.length } });

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
  /** The processes that use their CPU all the time. */
  readonly spinning: readonly number[];
  /** Works, and measures nothing. */
  settle(milliseconds: number): Promise<unknown>;
  measure(milliseconds: number): Promise<Window>;
  close(): Promise<void>;
}

/** Opens a contestant. */
export type Open = () => Promise<Contestant>;

/** The app `http`, which spins. */
export const openApp: Open = async () => {
  const side = await openOurSide('tspmd', plain(PAGE), (place) =>
    Child.tspmd('run', ...addressing(place), '--app', 'http', '--idle', 'spin'),
  );
  return served(side, await LoopTimes.of(side.server));
};

/** nginx on the kernel. @param folder for its files, in a folder that is removed */
export const nginxIn =
  (folder: string): Open =>
  async () =>
    served(
      await openKernelSide('nginx', { ...plain(PAGE), ready: NGINX_READY }, (run) =>
        run('nginx', ...configureNginx(folder, PAGE)),
      ),
    );

/** Node's `http` on the kernel, with the answer of our app. */
export const openNodePage: Open = () => openNode('node-http', plain(PAGE), PAGE);

/** Node's `http` on the kernel. */
export const openNodeHello: Open = () => openNode('node-http', plain(HELLO), HELLO);

/** Node's `http` under `tspmd exec`. */
export const openExecHello: Open = () => openExec(plain(HELLO), HELLO);

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
    spinning: [process.child.pid],
    settle: (milliseconds) => process.ask('run', milliseconds),
    measure: async (milliseconds) => windowOf(await process.ask<Run>('run', milliseconds), 0),
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
    spinning: [load.child.pid, ...(times === undefined ? [] : [server.pid])],
    settle: (milliseconds) => load.ask('run', milliseconds, server.pid),
    async measure(milliseconds) {
      await times?.share();
      const run = await load.ask<LoadRun>('run', milliseconds, server.pid);
      const serverBusy = await times?.share();
      if (run.requests === 0 || run.errors > 0)
        throw new Error(
          `${name}: ${run.requests} answers and ${run.errors} errors; the load wrote:\n${load.child.output}`,
        );
      const window = windowOf(run, await busyShare(...run.polls, () => load.ask<PollCount>('polls')));
      if (serverBusy === undefined) return window;
      return { ...window, serverBusy, perCpuSecond: Math.round(window.perCpuSecond / Math.max(serverBusy, 0.01)) };
    },
  };
}

function windowOf({ requests, seconds, p99Us, cpuSeconds }: Run, loadBusy: number): Window {
  const cpu = Math.max(cpuSeconds, 0.01);
  return {
    ...{ perSecond: Math.round(requests / seconds), perCpuSecond: Math.round(requests / cpu), p99Us },
    ...{ serverBusy: cpuSeconds / seconds, loadBusy },
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
    // The server writes all counters at once, but none that is 0: the loop may never have been idle.
    await server.waitFor(/^loop_polls\s+\d/m, undefined, from);
    const ms = (counter: string): number =>
      Number(new RegExp(`^${counter}\\s+(\\S+)\\s`, 'm').exec(server.output.slice(from))?.[1] ?? 0);
    this.busyMs = ms('loop_busy_ms');
    this.idleMs = ms('loop_idle_ms');
    const all = this.busyMs - busyMs + this.idleMs - idleMs;
    return all > 0 ? (this.busyMs - busyMs) / all : 1;
  }
}
