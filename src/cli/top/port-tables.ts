/** The tables of what a process does itself: its ports, threads, drops and gates. */
import { meaningOf } from '../../counters.js';
import { bar, bits, percent, short, sparkline } from './figures.js';
import {
  type Counts,
  type GateRate,
  keyOfGate,
  type PortRate,
  perSecond,
  type Rates,
  type Series,
  type ThreadRate,
} from './history.js';
import type { Cell, Column, Table } from './table.js';

/** How a thread or a port is chosen: by its name. */
export interface Choice {
  readonly section: 'ports' | 'threads';
  readonly key: string;
}

/** A thread that is busier than this is the limit of what the process can do. */
const BUSY = 0.9;
/** A ring that is fuller than this will soon drop packets. */
const FULL = 0.8;
/** Cells of a chart of the last minute. */
export const CHART = 8;
export const MAX_CHART = 30;

export const quiet = (value: number, text: string): Cell => ({ text, ...(value === 0 ? { tone: 'dim' } : {}) });
const rate = (value: number): Cell => quiet(value, short(value));
const drops = (value: number): Cell => ({ text: short(value), tone: value === 0 ? 'dim' : 'bad' });

/** The course of the last minute. Where nothing moved, it is quiet. */
function course(series: Series, slots: number, width: number, most?: number): Cell {
  const text = sparkline(series.values, slots, series.begun, width, most);
  return { text, tone: series.values.some((value) => value > 0) ? 'accent' : 'dim' };
}

export function portTable({ ports, reading }: Rates, slots: number): Table<PortRate> {
  const isSwitch = reading.process.kind === 'switch';
  const way = (name: 'in' | 'out'): Column<PortRate>[] => [
    {
      name: `${name}-packets`,
      head: `${name} pps`,
      width: 8,
      align: 'right',
      cell: (row) => rate(row[name].packets),
      by: (row) => row[name].packets,
    },
    {
      name: `${name}-bits`,
      head: 'bit/s',
      width: 6,
      align: 'right',
      keep: name === 'in' ? 4 : 5,
      cell: (row) => quiet(row[name].bytes, bits(row[name].bytes)),
      by: (row) => row[name].bytes,
    },
    {
      name: `${name}-minute`,
      head: 'minute',
      width: CHART,
      grows: MAX_CHART,
      keep: name === 'in' ? 2 : 1,
      cell: (row, width) => course(row[name].course, slots, width),
    },
  ];
  return {
    title: isSwitch ? 'Ports' : 'Port',
    empty: 'it has no ports',
    rows: ports,
    keyOf: ({ port }) => port.name,
    columns: [
      {
        name: 'name',
        head: 'name',
        width: 6,
        grows: true,
        cell: ({ port }) => ({ text: port.name, tone: port.isUp ? 'strong' : 'dim' }),
        by: ({ port }) => port.name,
      },
      ...(isSwitch ? [LINK] : []),
      ...way('in'),
      ...way('out'),
      {
        name: 'drops',
        head: 'drops/s',
        width: 8,
        align: 'right',
        cell: (row) => drops(row.dropped),
        by: (row) => row.dropped,
      },
      ...(isSwitch ? [PEER] : []),
    ],
  };
}

const LINK: Column<PortRate> = {
  ...{ name: 'link', head: 'link', width: 5, keep: 3 },
  cell: ({ port }) => ({ text: port.isUp ? 'up' : 'down', tone: port.isUp ? 'plain' : 'warn' }),
  by: ({ port }) => (port.isUp ? 'up' : 'down'),
};

/** Of the only port of other processes, the first line of the screen says it. */
const PEER: Column<PortRate> = {
  name: 'peer',
  head: 'connected to',
  width: 12,
  grows: true,
  keep: 0,
  cell: ({ port }) => ({ text: port.peer, tone: 'dim' }),
};

const HELD: Column<ThreadRate> = {
  name: 'held',
  head: 'held',
  width: 5,
  align: 'right',
  keep: 2,
  cell: ({ thread }) => quiet(thread.held, short(thread.held)),
  by: ({ thread }) => thread.held,
};

export function threadTable({ threads, reading }: Rates, slots: number): Table<ThreadRate> {
  const ring = (name: string, head: string, keep: number): Column<ThreadRate> => ({
    ...{ name, head, width: 9, align: 'right', keep },
    cell: ({ thread }) => {
      const found = thread.rings.find((ring) => ring.name === name);
      if (found === undefined) return { text: '' };
      const share = found.capacity === 0 ? 0 : found.count / found.capacity;
      return {
        text: `${bar(share, 4)}${percent(share).padStart(5)}`,
        tone: share > FULL ? 'warn' : share === 0 ? 'dim' : 'plain',
      };
    },
    by: ({ thread }) => thread.rings.find((ring) => ring.name === name)?.count ?? -1,
  });
  const hasRings = threads.some(({ thread }) => thread.rings.length > 0);
  return {
    title: threads.length === 1 ? 'Thread' : 'Threads',
    empty: 'it tells nothing of its threads',
    rows: threads,
    keyOf: ({ thread }) => thread.title,
    columns: [
      {
        name: 'thread',
        head: 'name',
        width: 9,
        grows: true,
        cell: ({ thread }) => ({ text: thread.title, tone: thread.isAlive ? 'strong' : 'bad' }),
        by: ({ thread }) => thread.title,
      },
      { name: 'busy', head: 'busy', width: 5, align: 'right', cell: busyCell, by: ({ busy }) => busy ?? -1 },
      {
        name: 'busy-bar',
        head: '',
        width: 10,
        keep: 1,
        cell: ({ busy }, width) => ({ text: bar(busy ?? 0, width), tone: toneOf(busy) }),
      },
      {
        name: 'busy-minute',
        head: 'minute',
        width: CHART,
        grows: MAX_CHART,
        keep: 5,
        cell: ({ course: series }, width) => course(series, slots, width, 1),
      },
      {
        name: 'rx',
        head: 'rx pps',
        width: 7,
        align: 'right',
        keep: 7,
        cell: ({ rx }) => rate(rx),
        by: ({ rx }) => rx,
      },
      {
        name: 'tx',
        head: 'tx pps',
        width: 7,
        align: 'right',
        keep: 6,
        cell: ({ tx }) => rate(tx),
        by: ({ tx }) => tx,
      },
      ...(hasRings ? [ring('rx_queue', 'rx_queue', 4), ring('tx_queue', 'tx_queue', 3)] : []),
      ...(reading.process.kind === 'switch' ? [] : [HELD]),
      {
        name: 'drops',
        head: 'drops/s',
        width: 8,
        align: 'right',
        cell: ({ dropped }) => drops(dropped),
        by: ({ dropped }) => dropped,
      },
    ],
  };
}

const toneOf = (busy: number | null): 'dim' | 'warn' | 'plain' =>
  busy === null || busy === 0 ? 'dim' : busy > BUSY ? 'warn' : 'plain';

function busyCell({ busy, thread }: ThreadRate): Cell {
  if (!thread.isAlive) return { text: 'ended', tone: 'bad' };
  return { text: percent(busy), tone: toneOf(busy) };
}

export interface DropRow {
  readonly reason: string;
  readonly perSecond: number;
  readonly total: number;
}

/** Drops by reason: those of a chosen port or thread, or of all. */
export function dropTable({ reading, before, seconds }: Rates, choice: Choice | null): Table<DropRow> {
  const countsIn = (from: typeof reading | null): Counts => {
    if (from === null || choice === null) return from?.drops ?? {};
    const of =
      choice.section === 'ports'
        ? from.ports.find(({ name }) => name === choice.key)
        : from.threads.find(({ title }) => title === choice.key);
    return of?.drops ?? {};
  };
  const [now, then] = [countsIn(reading), countsIn(before)];
  const rows = Object.entries(now).map(([reason, total]) => ({
    reason,
    total,
    perSecond: perSecond(total, Object.hasOwn(then, reason) ? then[reason] : 0, seconds),
  }));
  return {
    title: 'Drops',
    empty: 'none',
    rows,
    keyOf: ({ reason }) => reason,
    columns: [
      {
        name: 'reason',
        head: 'reason',
        width: 19,
        grows: true,
        cell: ({ reason, perSecond: now }) => ({ text: reason, tone: now > 0 ? 'bad' : 'plain' }),
        by: ({ reason }) => reason,
      },
      {
        name: 'drops',
        head: 'drops/s',
        width: 8,
        align: 'right',
        cell: (row) => drops(row.perSecond),
        by: (row) => row.perSecond,
      },
      {
        name: 'total',
        head: 'total',
        width: 7,
        align: 'right',
        cell: ({ total }) => rate(total),
        by: ({ total }) => total,
      },
      {
        name: 'meaning',
        head: 'means',
        width: 12,
        grows: true,
        keep: 0,
        cell: ({ reason }) => ({ text: meaningOf(reason) ?? SWITCH_MEANING.get(reason) ?? '', tone: 'dim' }),
      },
    ],
  };
}

const SWITCH_MEANING: ReadonlyMap<string, string> = new Map([
  ['peer_full', 'the peer takes packets more slowly than they come'],
  ['no_peer', 'no peer is connected to the port'],
  ['interface_down', "the kernel's interface is down or deleted"],
  ['unknown_destination', 'L2Forward has no entry for the MAC address'],
  ['unconnected_gate', 'the script leads them to a gate without a module'],
  ['sink', 'the script discards them'],
]);

export function gateTable({ gates }: Rates, slots: number): Table<GateRate> {
  return {
    title: 'Modules',
    empty: 'it has no modules',
    rows: gates,
    keyOf: ({ gate }) => keyOfGate(gate),
    columns: [
      {
        name: 'module',
        head: 'module',
        width: 10,
        grows: true,
        cell: ({ gate }) => ({ text: gate.module, tone: 'strong' }),
        by: ({ gate }) => gate.module,
      },
      {
        name: 'class',
        head: 'class',
        width: 9,
        grows: true,
        keep: 2,
        cell: ({ gate }) => ({ text: gate.className, tone: 'dim' }),
        by: ({ gate }) => gate.className,
      },
      {
        ...{ name: 'gate', head: 'gate', width: 12, grows: true },
        cell: ({ gate: { gate } }) =>
          gate === null ? { text: 'unconnected', tone: 'warn' } : { text: `${gate.number} → ${gate.to}` },
        by: ({ gate: { gate } }) => gate?.number ?? -1,
      },
      {
        name: 'packets',
        head: 'pps',
        width: 7,
        align: 'right',
        cell: ({ packets }) => rate(packets),
        by: ({ packets }) => packets,
      },
      {
        name: 'bits',
        head: 'bit/s',
        width: 6,
        align: 'right',
        keep: 3,
        cell: ({ bytes }) => quiet(bytes, bits(bytes)),
        by: ({ bytes }) => bytes,
      },
      {
        name: 'minute',
        head: 'minute',
        width: CHART,
        grows: MAX_CHART,
        keep: 1,
        cell: ({ course: series }, width) => course(series, slots, width),
      },
      {
        name: 'total',
        head: 'packets',
        width: 8,
        align: 'right',
        keep: 0,
        cell: ({ gate }) => rate(gate.packets),
        by: ({ gate }) => gate.packets,
      },
    ],
  };
}
