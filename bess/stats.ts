/**
 * The counters of a switch: a snapshot as plain data, and the snapshot as tables, which follow `show port` and
 * `show pipeline` of `bessctl`.
 */
import Table from 'cli-table3';
import type { ModuleGraph } from './modules/graph.js';
import { L2Forward } from './modules/l2-forward.js';
import { Sink } from './modules/merge-sink.js';
import { Replicate } from './modules/replicate.js';
import { Source } from './modules/source.js';
import { TunnelModule } from './modules/tunnel/tunnel-module.js';
import type { Port, PortCounters } from './ports/port.js';

/** The counters of a port. */
export interface PortStats {
  /** What the port is connected to, such as `vhost-user /tmp/vm1.sock`. */
  description: string;
  /** True while a peer is connected and its queues work; for an interface, while it is up. */
  up: boolean;
  /** One line that says why the port does not work and what to do; null while the port has no problem. */
  problem: string | null;
  /** From the peer into the switch. */
  inc: PortCounters;
  /** From the switch to the peer. */
  out: PortCounters;
  /** The device's own counters by name, such as the reasons of drops. Zeros are left out. */
  device: Record<string, number>;
}

/** The counters of a connected output gate. */
export interface GateStats {
  /** Number of the output gate. */
  gate: number;
  /** Name of the next module. */
  to: string;
  /** Input gate of the next module. */
  inputGate: number;
  /** Packets that left by the gate. */
  packets: number;
  /** Sum of the lengths of their frames, in bytes. */
  bytes: number;
}

/** The counters of a module. */
export interface ModuleStats {
  /** The module's name in the script. */
  name: string;
  /** The module's class, such as `L2Forward`. */
  class: string;
  /** A short description, such as `3 addresses`; may be empty. */
  desc: string;
  /** The connected output gates. */
  gates: GateStats[];
  /** Packets that left by a gate without a connection. */
  deadends: number;
  /**
   * What the module counts by itself, by name: the reasons for which a tunnel module drops packets, and `cut`. Zeros are left
   * out.
   */
  counters: Record<string, number>;
}

/** Dropped packets by reason. */
export interface Drops {
  /** The peer's ring was full, or the peer refused the packet. */
  full: number;
  /** No peer was connected. */
  noPeer: number;
  /** The kernel's interface was down or deleted. */
  interfaceDown: number;
  /** L2Forward had no entry for the destination, and no default gate. */
  unknownDestination: number;
  /** The packet left by any other gate without a connection. */
  deadend: number;
  /** A Sink discarded the packet. */
  sink: number;
  /** VXLANEncap, VXLANDecap, IPEncap or EtherEncap refused the packet. The module's counters say why. */
  tunnel: number;
}

/**
 * The sums over all ports and modules. Between two bursts they are exact:
 * `received + generated + copied + cut = forwarded + dropped.total`.
 */
export interface Summary {
  /** Packets taken from ports. */
  received: number;
  /** Packets that Source modules made. */
  generated: number;
  /** Copies that Replicate modules made, without the originals. */
  copied: number;
  /** Packets that modules cut out of larger ones to give them headers, without the first of each. */
  cut: number;
  /** Packets delivered to peers. Each copy counts. */
  forwarded: number;
  /** The part of `forwarded` that came through a Replicate, with the originals. */
  replicated: number;
  /** Dropped packets by reason, and their sum. */
  dropped: Drops & { total: number };
}

/** What the thread that moves the packets does. */
export interface WorkerStats {
  /** Time in which it found something to do, in seconds. */
  busy: number;
  /** Time in which it slept or polled in vain, in seconds. The time of a sleep is counted when it ends. */
  idle: number;
  /** Whether it sleeps now. */
  asleep: boolean;
}

/** A snapshot of the counters of a switch. It can be written as JSON without loss. */
export interface SwitchStats {
  /** Time since the start, in seconds. */
  uptime: number;
  /** The thread that moves the packets. */
  worker: WorkerStats;
  /** The sums over all ports and modules. */
  summary: Summary;
  /** Ports by name. */
  ports: Record<string, PortStats>;
  /** Modules in the order in which the script made them. */
  modules: ModuleStats[];
}

/**
 * Takes a snapshot.
 * @param uptime time since the start, in seconds
 */
export function snapshot(ports: readonly Port[], graph: ModuleGraph, worker: WorkerStats, uptime: number): SwitchStats {
  return {
    uptime,
    worker,
    summary: summarize(ports, graph),
    ports: Object.fromEntries(ports.map((port) => [port.name, portStats(port)])),
    modules: graph.all.map((module) => ({
      name: module.name,
      class: module.className,
      desc: module.describe(),
      gates: module.gates
        .filter((output) => output !== null)
        .map(({ gate, next, inputGate, packets, bytes }) => ({ gate, to: next.name, inputGate, packets, bytes })),
      deadends: module.deadends,
      counters: module.counters(),
    })),
  };
}

function portStats(port: Port): PortStats {
  const { description, device } = port;
  return { description, up: device.isUp, problem: device.problem, ...port.stats(), device: port.deviceCounters() };
}

function summarize(ports: readonly Port[], graph: ModuleGraph): Summary {
  const drops: Drops = { full: 0, noPeer: 0, interfaceDown: 0, unknownDestination: 0, deadend: 0, sink: 0, tunnel: 0 };
  const sum = { received: 0, generated: 0, copied: 0, cut: 0, forwarded: 0, replicated: 0 };
  for (const port of ports) {
    sum.received += port.incPackets;
    sum.forwarded += port.outPackets;
    sum.replicated += port.replicated;
    drops.noPeer += port.droppedWithoutPeer;
    drops.interfaceDown += port.droppedByInterface;
    drops.full += port.outDropped - port.droppedWithoutPeer - port.droppedByInterface;
  }
  for (const module of graph.all) {
    drops.deadend += module.deadends;
    if (module instanceof L2Forward) {
      drops.unknownDestination += module.unknown;
      drops.deadend -= module.unknown;
    }
    if (module instanceof Sink) drops.sink += module.discarded;
    if (module instanceof Source) sum.generated += module.generated;
    if (module instanceof Replicate) sum.copied += module.copies;
    if (module instanceof TunnelModule) {
      drops.tunnel += module.refused;
      sum.cut += module.cut;
    }
  }
  const total = Object.values(drops).reduce((all, count) => all + count, 0);
  return { ...sum, dropped: { total, ...drops } };
}

const NUMBERS = new Intl.NumberFormat('en-US');

/** @param numbersFrom the first column that holds numbers, which are aligned to the right */
function table(head: string[], rows: string[][], numbersFrom: number): string {
  const result = new Table({
    head,
    style: { head: [], border: [], compact: true },
    colAligns: head.map((_, i) => (i >= numbersFrom ? 'right' : 'left')),
  });
  // The counters of another process may be anything, and objects are orders to the table.
  result.push(...rows.map((row) => row.map(String)));
  return result.toString();
}

function figures(...values: number[]): string[] {
  return values.map((value) => NUMBERS.format(value));
}

/** Returns the snapshot as tables and a summary, without a final line feed. */
export function renderStats(stats: SwitchStats): string {
  const ports = Object.entries(stats.ports).flatMap(([name, { description, up, inc, out }]) => [
    [name, description, up ? 'UP' : 'DOWN', 'inc', ...figures(inc.packets, inc.bytes, inc.dropped)],
    ['', '', '', 'out', ...figures(out.packets, out.bytes, out.dropped)],
  ]);
  const modules = stats.modules.flatMap(({ name, class: className, desc, gates, deadends, counters }) => {
    const label = `${name}::${className}${desc === '' ? '' : `(${desc})`}`;
    const rows = gates.map(({ gate, to, inputGate, packets, bytes }, i) => [
      i === 0 ? label : '',
      `:${gate} -> ${inputGate}:${to}`,
      ...figures(packets, bytes),
    ]);
    if (rows.length === 0) rows.push([label, '', '', '']);
    if (deadends > 0) rows.push(['', 'deadends', ...figures(deadends), '']);
    for (const [counter, count] of Object.entries(counters)) rows.push(['', counter, ...figures(count), '']);
    return rows;
  });
  return [
    table(['port', 'device', 'link', '', 'packets', 'bytes', 'dropped'], ports, 4),
    ...Object.entries(stats.ports).flatMap(([name, { problem }]) =>
      problem === null ? [] : [`port ${name}: ${problem}`],
    ),
    table(['module', 'gate', 'packets', 'bytes'], modules, 2),
    renderSummary(stats.summary),
  ].join('\n');
}

function renderSummary({ forwarded, replicated, dropped }: Summary): string {
  const reasons = [
    [dropped.full, 'peer full'],
    [dropped.noPeer, 'no peer'],
    [dropped.interfaceDown, 'interface down'],
    [dropped.unknownDestination, 'unknown destination'],
    [dropped.deadend, 'unconnected gate'],
    [dropped.sink, 'sink'],
    [dropped.tunnel, 'tunnel'],
  ] as const;
  const counts = reasons.filter(([count]) => count > 0).map(([count, reason]) => `${NUMBERS.format(count)} ${reason}`);
  const detail = counts.length === 0 ? '' : ` (${counts.join(', ')})`;
  return [
    `forwarded ${NUMBERS.format(forwarded)} (of these replicated ${NUMBERS.format(replicated)})`,
    `dropped ${NUMBERS.format(dropped.total)}${detail}`,
  ].join(', ');
}
