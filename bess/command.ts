/** What `tspmd switch` does: run a script's switch until told to stop, or print the counters of one that runs. */
import { basename } from 'node:path';
import type { PeerFiles } from '../drivers/transports/vhost-user/peer-memory.js';
import { ControlSocket, fetchStats } from './control.js';
import type { DeviceFactory } from './ports/pmd-port.js';
import { loadScript } from './script/load.js';
import { renderStats } from './stats.js';
import type { Switch } from './switch.js';
import type { IdlePolicy } from './worker.js';

export interface RunSwitchOptions {
  /** The `.bess` script. */
  readonly file: string;
  /** `NAME=value` pairs: what `$NAME` is in the script, before the environment. */
  readonly variables?: Readonly<Record<string, string>>;
  readonly idle?: IdlePolicy;
  /** Which files the memories of vhost-user peers may be of; `any` by default. */
  readonly peerFiles?: PeerFiles;
  /** The switch stops when this resolves. */
  readonly stop: Promise<void>;
  /** Opens the devices; the real ones where nothing is said. */
  readonly devices?: DeviceFactory;
  /** Gets the ready line, the tables and what the script prints; stdout where nothing is said. */
  readonly print?: (line: string) => void;
  /** Gets what happens to the ports; stderr where nothing is said. */
  readonly log?: (line: string) => void;
}

/**
 * Runs a switch until it is told to stop; then its sockets are gone. Prints one line that begins with `ready` when all
 * ports listen, and a table of the counters at each SIGUSR1.
 *
 * Throws what is wrong with the script, or what has stopped the switch, as one line.
 */
export async function runSwitch(options: RunSwitchOptions): Promise<void> {
  const print = options.print ?? ((line) => process.stdout.write(`${line}\n`));
  const log = options.log ?? ((line) => process.stderr.write(`${line}\n`));
  const { file, variables = {}, stop } = options;
  const bess = await loadScript(file, variables, {
    print,
    log,
    ...(options.idle === undefined ? {} : { idle: options.idle }),
    ...(options.peerFiles === undefined ? {} : { peerFiles: options.peerFiles }),
    ...(options.devices === undefined ? {} : { devices: options.devices }),
  });
  const printTable = (): void => print(renderStats(bess.stats()));
  let control: ControlSocket | null = null;
  try {
    const failed = new Promise<never>((_, reject) => {
      bess.onError = reject;
    });
    const ended = Promise.race([stop, failed]);
    // It is awaited last; until then a failure is not an unhandled rejection.
    ended.catch(() => undefined);
    await bess.start();
    control = await ControlSocket.open(() => bess.stats());
    process.on('SIGUSR1', printTable);
    print(readyLine(bess, file));
    await ended;
  } finally {
    process.off('SIGUSR1', printTable);
    await control?.close();
    await bess.stop();
  }
}

function readyLine(bess: Switch, file: string): string {
  const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
  return `ready: ${count(bess.ports.all.length, 'port')}, ${count(bess.graph.all.length, 'module')}, ${basename(file)}`;
}

export interface PrintStatsOptions {
  /** Which switch; not needed where only one runs. */
  readonly pid?: number;
  /** The snapshot as JSON instead of a table. */
  readonly json?: boolean;
  readonly print?: (line: string) => void;
}

/** Prints the counters of a running switch. Throws where none runs, or several and no `pid` says which. */
export async function printStats({ pid, json = false, print }: PrintStatsOptions): Promise<void> {
  const stats = await fetchStats(pid);
  const write = print ?? ((line: string) => process.stdout.write(`${line}\n`));
  write(json ? JSON.stringify(stats, null, 2) : renderStats(stats));
}
