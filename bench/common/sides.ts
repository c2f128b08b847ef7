/**
 * The two sides of a TCP benchmark. On both, the load is the same program on one CPU, above our own stack, and the server is
 * a process on another CPU.
 *
 * - Ours: the server drives a vhost-user frontend. The load is its backend, so there is no switch between them.
 * - The kernel's: the server is a program in a network namespace. The load is at the other end of a tap interface.
 *
 * A load answers the requests of the benchmark (`answerRequests`), and finds a {@link LoadSetup} in `process.argv[2]`.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OffloadPolicy } from '../../drivers/offloads.js';
import type { Child } from '../../scripts/child.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import { init, type SinglePort } from '../../src/index.js';
import { openBackendDevice } from './backend/device.js';
import { BenchProcess } from './bench-process.js';
import { benchCpus } from './cpus.js';
import { PausableProcesses } from './windows.js';

/** The load's addresses, and the server's. */
export const LOAD = { ip: '10.0.0.1', mac: '52:54:00:00:00:01' } as const;
export const SERVER = { ip: '10.0.0.2', mac: '52:54:00:00:00:02' } as const;
const PREFIX = 24;

const TAP = 'tap0';
const READY = /^(ready|listening)\b/m;
const READY_MS = 30_000;
/** Most open files of a server on the kernel: as many as this machine allows. */
const OPEN_FILES = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? '1024';

/** How the kernel is set up in the namespace, as guides for busy servers tell. */
const SYSCTLS: Readonly<Record<string, string>> = {
  'net.core.somaxconn': '65535',
  'net.ipv4.tcp_max_syn_backlog': '65535',
  'net.ipv4.tcp_rmem': '4096 131072 33554432',
  'net.ipv4.tcp_wmem': '4096 65536 33554432',
  'net.ipv4.tcp_tw_reuse': '1',
  'net.ipv4.tcp_max_tw_buckets': '2000000',
  'net.ipv4.tcp_slow_start_after_idle': '0',
  'net.ipv4.ip_local_port_range': '1024 65535',
};

/** The same for people, with what is not a sysctl: for `more` of a row. */
export const KERNEL_SETTINGS: Readonly<Record<string, string>> = { ...SYSCTLS, 'open files': OPEN_FILES };

/** Where the load finds the server. */
export interface LoadTarget {
  readonly transport: 'vhost-user' | 'tap';
  /** Path of the socket that the load makes, or name of the interface. */
  readonly name: string;
}

/** What each load is given, besides what its benchmark adds. */
export interface LoadSetup {
  readonly target: LoadTarget;
  readonly cpu: number;
  readonly offloads: OffloadPolicy;
}

/** The load, and what else belongs to either side. */
export interface SideOptions<Setup extends object> {
  /** The load: path of a script in the compiled `bench/`. */
  readonly load: string;
  /** What its setup has besides {@link LoadSetup}. */
  readonly setup?: Setup;
  /** Default `off`. */
  readonly offloads?: OffloadPolicy;
  /** Flags for the Node of the load. */
  readonly flags?: readonly string[];
  /**
   * Only on the kernel's side: whether the kernel handles the packets for the server on the server's CPU. Otherwise it does
   * that on the CPU of the load, which writes them to the tap, and so has two CPUs. Default false.
   */
  readonly oneCpu?: boolean;
  /** What the server prints when it is ready. Default: a line that begins with `ready` or `listening`. */
  readonly ready?: RegExp;
}

/** Where a server of ours runs: for its configuration. */
export interface ServerPlace {
  readonly device: string;
  readonly ip: string;
  readonly mac: string;
  readonly cpu: number;
  readonly offloads: OffloadPolicy;
}

export interface Side {
  readonly name: string;
  readonly target: LoadTarget;
  readonly server: Child;
  readonly load: BenchProcess;
  /** The server and the load. */
  readonly processes: PausableProcesses;
  /** Ends both, and removes what was made for them. */
  close(): Promise<void>;
}

/**
 * Opens our side.
 * @param start starts the server: a frontend of `device`
 */
export async function openOurSide<Setup extends object>(
  name: string,
  options: SideOptions<Setup>,
  start: (place: ServerPlace) => Child,
): Promise<Side> {
  const folder = mkdtempSync(join(tmpdir(), 'tspmd-bench-'));
  const socket = join(folder, 'server.sock');
  const place: ServerPlace = {
    ...{ device: `vhost-user:${socket}`, ip: `${SERVER.ip}/${PREFIX}`, mac: SERVER.mac },
    ...{ cpu: benchCpus().contestant, offloads: options.offloads ?? 'off' },
  };
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  return openSide(name, options, { transport: 'vhost-user', name: socket }, () => start(place), remove);
}

/**
 * Opens the kernel's side.
 * @param start starts the server by `run`, in the namespace and on its CPU; it listens on `0.0.0.0` or {@link SERVER}
 */
export async function openKernelSide<Setup extends object>(
  name: string,
  options: SideOptions<Setup>,
  start: (run: (program: string, ...args: string[]) => Child) => Child,
): Promise<Side> {
  const namespace = NetworkNamespace.create();
  const remove = (): void => namespace.remove();
  const around = ['-c', String(benchCpus().contestant), 'prlimit', `--nofile=${OPEN_FILES}`];
  const run = (...command: string[]): Child => namespace.spawn('taskset', ...around, ...command);
  try {
    namespace.addTap(TAP, `${SERVER.ip}/${PREFIX}`);
    namespace.ip('link', 'set', TAP, 'address', SERVER.mac);
    namespace.sysctl(`net.ipv6.conf.${TAP}.disable_ipv6`, '1');
    if (options.oneCpu === true) namespace.steer(TAP, benchCpus().contestant);
    for (const [setting, value] of Object.entries(SYSCTLS)) namespace.sysctl(setting, value);
  } catch (error) {
    remove();
    throw error;
  }
  return openSide(name, options, { transport: 'tap', name: TAP }, () => start(run), remove, namespace);
}

/** Starts the load and then the server, because a frontend connects to a socket that is there. */
async function openSide<Setup extends object>(
  name: string,
  { load: script, setup, offloads = 'off', flags = [], ready = READY }: SideOptions<Setup>,
  target: LoadTarget,
  start: () => Child,
  remove: () => void,
  namespace?: NetworkNamespace,
): Promise<Side> {
  const children: Child[] = [];
  const processes = new PausableProcesses(children);
  const close = async (): Promise<void> => {
    try {
      await processes.stop();
    } finally {
      remove();
    }
  };
  try {
    const own: LoadSetup = { target, offloads, cpu: benchCpus().common };
    const load = await BenchProcess.start(script, { ...setup, ...own }, flags, namespace);
    children.push(load.child);
    const server = start();
    // The server first: a load whose peer has gone has nothing left to do.
    children.unshift(server);
    await server.waitFor(ready, READY_MS);
    return { name, target, server, load, processes, close };
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
}

/** Opens the port of a load, which spins on its CPU. The process calls it, and stops the port. */
export function openLoadPort({ target, cpu, offloads }: LoadSetup, buffers?: number): Promise<SinglePort> {
  const { transport, name } = target;
  return init(
    {
      ...{ device: `${transport}:${name}`, ip: `${LOAD.ip}/${PREFIX}`, mac: LOAD.mac, cores: [cpu] },
      ...{ offloads, idle: 'spin', hugepages: 'never' },
      ...(buffers === undefined ? {} : { buffers }),
    },
    transport === 'vhost-user' ? { openDevice: openBackendDevice } : {},
  );
}
