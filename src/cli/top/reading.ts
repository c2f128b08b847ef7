/**
 * The counters of a process as `tspmd top` shows them. They come from a control socket, so each field is checked: a
 * wrong one counts as 0 or as nothing, lists have bounds, and names are cleaned.
 */
import type { ProcessStats, RunningProcess } from '../../../observe/control/process-info.js';
import { RECEIVED_DROP, SWITCH_REASONS } from '../../../observe/page/browser/model/switch-drops.js';
import { IS_DROP } from '../output/rates.js';
import { clean } from './text.js';

/** What went one way through a port, ever. */
export interface Way {
  readonly packets: number;
  readonly bytes: number;
}

export interface PortReading {
  readonly name: string;
  /** What it is connected to. */
  readonly peer: string;
  readonly isUp: boolean;
  readonly problem: string | null;
  readonly in: Way;
  readonly out: Way;
  readonly dropped: number;
  /** Drops by reason: those of the port alone. */
  readonly drops: Readonly<Record<string, number>>;
}

export interface ThreadReading {
  readonly title: string;
  /** Number of the core; null for a kernel-bypass thread. */
  readonly core: number | null;
  readonly isAlive: boolean;
  readonly isAsleep: boolean;
  readonly busyMs: number;
  readonly idleMs: number;
  readonly rx: number;
  readonly tx: number;
  readonly held: number;
  readonly rings: readonly { readonly name: string; readonly count: number; readonly capacity: number }[];
  readonly drops: Readonly<Record<string, number>>;
}

export interface GateReading {
  readonly module: string;
  readonly className: string;
  /** Its number and the module behind it; null: packets that left without a connection. */
  readonly gate: { readonly number: number; readonly to: string } | null;
  readonly packets: number;
  readonly bytes: number;
}

export interface Reading {
  readonly process: RunningProcess;
  /** When it was taken, in seconds since the start of the process. */
  readonly at: number;
  readonly ports: readonly PortReading[];
  readonly threads: readonly ThreadReading[];
  readonly gates: readonly GateReading[];
  /** Drops of all ports together by reason. */
  readonly drops: Readonly<Record<string, number>>;
}

/** More than any process has of one thing. */
const MAX_ITEMS = 300;
/** By name. The name comes from the process. */
const REASONS: ReadonlyMap<string, string> = new Map(Object.entries(SWITCH_REASONS));

type Fields = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
export const fieldsOf = (value: unknown): Fields => (isObject(value) ? (value as Fields) : {});
export const listOf = (value: unknown): readonly Fields[] =>
  Array.isArray(value) ? value.slice(0, MAX_ITEMS).map(fieldsOf) : [];
export const numberOf = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);
export const textOf = (value: unknown): string => (typeof value === 'string' ? clean(value) : '');

const entriesOf = (value: unknown): [string, unknown][] =>
  Object.entries(fieldsOf(value))
    .slice(0, MAX_ITEMS)
    .map(([name, part]) => [clean(name), part]);

function countsOf(value: unknown, isWanted: (name: string) => boolean): Record<string, number> {
  const wanted = entriesOf(value).filter(([name, count]) => isWanted(name) && numberOf(count) !== 0);
  return Object.fromEntries(wanted.map(([name, count]) => [name, numberOf(count)]));
}

const dropsIn = (counters: unknown): Record<string, number> => countsOf(counters, (name) => IS_DROP.test(name));
const sumOf = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);

/** Returns what a process says of itself, fit for a terminal. */
export function cleanProcess(about: RunningProcess): RunningProcess {
  const { name, devices, address, version } = about;
  return {
    ...about,
    ...{ name: clean(name), devices: devices.map(clean), version: clean(version) },
    address: address === null ? null : clean(address),
  };
}

/** @returns null when the counters are none that this version knows */
export function readingOf({ process, port, switch: bess }: ProcessStats): Reading | null {
  const about = cleanProcess(process);
  if (port !== undefined) return readPort(about, fieldsOf(port));
  const { summary, ports } = fieldsOf(bess);
  return isObject(summary) && isObject(ports) ? readSwitch(about, fieldsOf(bess)) : null;
}

function readPort(process: RunningProcess, port: Fields): Reading | null {
  const { counters, cores, workers, device } = port;
  if (!isObject(counters) || !Array.isArray(cores)) return null;
  const { rx_packets, rx_bytes, tx_packets, tx_bytes } = fieldsOf(counters);
  const drops = dropsIn(counters);
  const only: PortReading = {
    ...{ name: 'port0', peer: textOf(device), isUp: true, problem: null },
    in: { packets: numberOf(rx_packets), bytes: numberOf(rx_bytes) },
    out: { packets: numberOf(tx_packets), bytes: numberOf(tx_bytes) },
    ...{ dropped: sumOf(drops), drops },
  };
  const threads = [...listOf(cores).map(readThread), ...listOf(workers).map(readThread)];
  return { process, at: process.uptime, ports: [only], threads, gates: [], drops };
}

function readThread(thread: Fields): ThreadReading {
  const { title, index, isAlive, isAsleep, rings, role, counters } = thread;
  const counts = fieldsOf(counters);
  const isCore = typeof index === 'number';
  return {
    ...{ title: textOf(title), core: isCore ? index : null, isAlive: isAlive === true, isAsleep: isAsleep === true },
    ...{ busyMs: numberOf(counts.loop_busy_ms), idleMs: numberOf(counts.loop_idle_ms) },
    rx: role === 'Tx' ? 0 : numberOf(isCore ? counts.rx_delivered : counts.rx_frames),
    tx: role === 'Rx' ? 0 : numberOf(isCore ? counts.tx_queued : counts.tx_handed),
    held: numberOf(counts.held_by_stack),
    rings: entriesOf(rings).map(([name, ring]) => {
      const { count, capacity } = fieldsOf(ring);
      return { name, count: numberOf(count), capacity: numberOf(capacity) };
    }),
    drops: dropsIn(counters),
  };
}

function readSwitch(process: RunningProcess, stats: Fields): Reading {
  const { dropped, received, forwarded } = fieldsOf(stats.summary);
  const reasons = countsOf(dropped, (name) => name !== 'total');
  const drops: Record<string, number> = {};
  for (const [name, count] of Object.entries(reasons)) drops[REASONS.get(name) ?? name] = count;
  const ports = entriesOf(stats.ports).map(([name, port]) => readSwitchPort(name, fieldsOf(port)));
  // The summary begins behind the devices.
  for (const port of ports)
    for (const [name, count] of Object.entries(port.drops))
      if (RECEIVED_DROP.test(name)) drops[name] = (drops[name] ?? 0) + count;
  return {
    ...{ process, at: numberOf(stats.uptime), ports, drops },
    threads: isObject(stats.worker)
      ? [readSwitchThread(fieldsOf(stats.worker), numberOf(received), numberOf(forwarded), drops)]
      : [],
    gates: listOf(stats.modules).flatMap(readModule).slice(0, MAX_ITEMS),
  };
}

/** The thread that moves all packets. Older versions do not tell how busy it is. */
function readSwitchThread(
  { busy, idle, asleep }: Fields,
  rx: number,
  tx: number,
  drops: ThreadReading['drops'],
): ThreadReading {
  return {
    ...{ title: 'switch', core: null, isAlive: true, isAsleep: asleep === true, held: 0, rings: [], rx, tx, drops },
    ...{ busyMs: 1000 * numberOf(busy), idleMs: 1000 * numberOf(idle) },
  };
}

function readSwitchPort(name: string, { description, up, problem, inc, out, device }: Fields): PortReading {
  const [from, to] = [fieldsOf(inc), fieldsOf(out)];
  const received = countsOf(device, (counter) => RECEIVED_DROP.test(counter));
  const noPeer = numberOf(fieldsOf(device).out_noDriver);
  const down = numberOf(fieldsOf(device).out_interfaceDown);
  const full = Math.max(0, numberOf(to.dropped) - noPeer - down);
  return {
    ...{
      name,
      peer: textOf(description),
      isUp: up === true,
      problem: typeof problem === 'string' ? clean(problem) : null,
    },
    in: { packets: numberOf(from.packets), bytes: numberOf(from.bytes) },
    out: { packets: numberOf(to.packets), bytes: numberOf(to.bytes) },
    dropped: numberOf(from.dropped) + numberOf(to.dropped),
    drops: { ...received, ...countsOf({ peer_full: full, no_peer: noPeer, interface_down: down }, () => true) },
  };
}

function readModule({ name, class: className, gates, deadends }: Fields): GateReading[] {
  const module = { module: textOf(name), className: textOf(className) };
  const connected = listOf(gates).map(({ gate, to, packets, bytes }) => ({
    ...{ ...module, gate: { number: numberOf(gate), to: textOf(to) } },
    ...{ packets: numberOf(packets), bytes: numberOf(bytes) },
  }));
  const lost = numberOf(deadends);
  return lost === 0 ? connected : [...connected, { ...module, gate: null, packets: lost, bytes: 0 }];
}
