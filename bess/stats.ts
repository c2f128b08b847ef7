/**
 * What has happened to the packets: a snapshot as plain data, and the same as a table for people, after `bessctl`'s
 * `show port` and `show pipeline`.
 */
import Table from 'cli-table3';
import type { ModuleGraph } from './modules/graph.js';
import { L2Forward } from './modules/l2-forward.js';
import { Sink } from './modules/merge.js';
import { Replicate } from './modules/replicate.js';
import { Source } from './modules/source.js';
import type { Port, PortCounters } from './ports/port.js';

/** One port: its device, its peer, and what went through. */
export interface PortStats {
  /** What the port is connected to. */
  description: string;
  /** A peer is connected, and its queues work; an interface is up. */
  up: boolean;
  /** What keeps the port from working, and what to do about it; null when nothing does. */
  problem: string | null;
  inc: PortCounters;
  out: PortCounters;
  /** What the device counts, by name: why packets were dropped, and more. Zeros are left out. */
  device: Record<string, number>;
}

/** One output gate of a module. */
export interface GateStats {
  gate: number;
  /** Name of the next module. */
  to: string;
  /** Input gate of the next module. */
  inputGate: number;
  packets: number;
  bytes: number;
}

/** One module of the script. */
export interface ModuleStats {
  name: string;
  class: string;
  desc: string;
  gates: GateStats[];
  /** Packets that left by a gate without a connection. */
  deadends: number;
}

/** Why packets were dropped. */
export interface Drops {
  /** The peer's ring was full, or it refused the packet. */
  full: number;
  /** No peer was connected. */
  noPeer: number;
  /** The kernel's interface was down, or deleted. */
  interfaceDown: number;
  /** L2Forward: the destination is in no entry, and there is no default gate. */
  unknownDestination: number;
  /** Any other gate without a connection. */
  deadend: number;
  /** Ended in a Sink. */
  sink: number;
}

/**
 * The sum of all, exact at any moment between two bursts:
 * `received + generated + copied = forwarded + dropped.total`.
 */
export interface Summary {
  /** Taken from ports. */
  received: number;
  /** Made by Sources. */
  generated: number;
  /** Made by Replicates: the copies, not the originals. */
  copied: number;
  /** Delivered to peers, each copy counted. */
  forwarded: number;
  /** Of `forwarded`: those that came through a Replicate, originals too. */
  replicated: number;
  dropped: Drops & { total: number };
}

/** A snapshot of a switch; JSON holds all of it. */
export interface SwitchStats {
  /** Since the start, in seconds. */
  uptime: number;
  summary: Summary;
  /** By name. */
  ports: Record<string, PortStats>;
  modules: ModuleStats[];
}

/** Takes a snapshot. */
export function snapshot(ports: readonly Port[], graph: ModuleGraph, uptime: number): SwitchStats {
  return {
    uptime,
    summary: summarize(ports, graph),
    ports: Object.fromEntries(ports.map((port) => [port.name, portStats(port)])),
    modules: graph.all.map((module) => ({
      name: module.name,
      class: module.className,
      desc: module.describe(),
      gates: module.gates.flatMap((output) =>
        output === null
          ? []
          : [
              {
                gate: output.gate,
                to: output.next.name,
                inputGate: output.inputGate,
                packets: output.packets,
                bytes: output.bytes,
              },
            ],
      ),
      deadends: module.deadends,
    })),
  };
}

function portStats(port: Port): PortStats {
  const { description, device } = port;
  return { description, up: device.isUp, problem: device.problem, ...port.stats(), device: port.deviceCounters() };
}

function summarize(ports: readonly Port[], graph: ModuleGraph): Summary {
  const drops: Drops = { full: 0, noPeer: 0, interfaceDown: 0, unknownDestination: 0, deadend: 0, sink: 0 };
  const sum = { received: 0, generated: 0, copied: 0, forwarded: 0, replicated: 0 };
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
  }
  const total = Object.values(drops).reduce((all, count) => all + count, 0);
  return { ...sum, dropped: { total, ...drops } };
}

const NUMBERS = new Intl.NumberFormat('en-US');

function table(head: string[], rows: string[][], numbersFrom: number): string {
  const result = new Table({
    head,
    style: { head: [], border: [], compact: true },
    colAligns: head.map((_, i) => (i >= numbersFrom ? 'right' : 'left')),
  });
  result.push(...rows);
  return result.toString();
}

function figures(...values: number[]): string[] {
  return values.map((value) => NUMBERS.format(value));
}

/** The snapshot as text, without a final line feed. */
export function renderStats(stats: SwitchStats): string {
  const ports = Object.entries(stats.ports).flatMap(([name, { description, up, inc, out }]) => [
    [name, description, up ? 'UP' : 'DOWN', 'inc', ...figures(inc.packets, inc.bytes, inc.dropped)],
    ['', '', '', 'out', ...figures(out.packets, out.bytes, out.dropped)],
  ]);
  const modules = stats.modules.flatMap(({ name, class: className, desc, gates, deadends }) => {
    const label = `${name}::${className}${desc === '' ? '' : `(${desc})`}`;
    const rows = gates.map(({ gate, to, inputGate, packets, bytes }, i) => [
      i === 0 ? label : '',
      `:${gate} -> ${inputGate}:${to}`,
      ...figures(packets, bytes),
    ]);
    if (rows.length === 0) rows.push([label, '', '', '']);
    if (deadends > 0) rows.push(['', 'deadends', ...figures(deadends), '']);
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
  ] as const;
  const why = reasons.filter(([count]) => count > 0).map(([count, reason]) => `${NUMBERS.format(count)} ${reason}`);
  const because = why.length === 0 ? '' : ` (${why.join(', ')})`;
  return [
    `forwarded ${NUMBERS.format(forwarded)} (of these replicated ${NUMBERS.format(replicated)})`,
    `dropped ${NUMBERS.format(dropped.total)}${because}`,
  ].join(', ');
}
