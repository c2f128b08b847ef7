/** The tables of the largest flows and of TCP connections. */
import type { ConnectionsArgs } from '../../../observe/control/commands.js';
import { bits, milliseconds, short } from './figures.js';
import { type Choice, quiet } from './port-tables.js';
import type { Column, Table } from './table.js';
import type { Connection, Flow, Told } from './traffic.js';

/** Columns of connections, and the order of the process that each of them is. */
export const ORDER_OF: Readonly<Record<string, ConnectionsArgs['sort']>> = {
  ...{ state: 'state', rtt: 'rtt', unsent: 'unsent', retransmitted: 'retransmitted', bytes: 'bytes' },
};

function itemsOf<T>(told: Told<T> | null): { items: readonly T[]; total: number; why: string | null } {
  if (told === null) return { items: [], total: 0, why: 'not asked for yet' };
  return 'problem' in told
    ? { items: [], total: 0, why: told.problem }
    : { items: told.items, total: told.total, why: null };
}

const PORT: Column<Flow> = {
  name: 'interface',
  head: 'port',
  width: 6,
  grows: true,
  keep: 2,
  cell: (flow) => ({ text: flow.interface, tone: 'dim' }),
  by: (flow) => flow.interface,
};

/**
 * @param ports how many ports the process has; with one, it need not be named
 * @param port only flows of this port; null: of all
 */
export function flowTable(told: Told<Flow> | null, ports: number, port: string | null): Table<Flow> {
  const { items, why } = itemsOf(told);
  const isSampled = told !== null && 'isSampled' in told && told.isSampled;
  return {
    title: 'Flows',
    note: isSampled ? 'largest, sampled' : 'largest',
    empty: why ?? 'no packets in the last second',
    rows: port === null ? items : items.filter((flow) => flow.interface === port),
    keyOf: (flow) => [flow.interface, flow.direction, flow.protocol, flow.source, flow.destination].join(' '),
    columns: [
      ...(ports > 1 ? [PORT] : []),
      {
        name: 'direction',
        head: 'way',
        width: 4,
        keep: 3,
        cell: ({ direction }) => ({ text: direction }),
        by: ({ direction }) => direction,
      },
      {
        name: 'protocol',
        head: 'proto',
        width: 6,
        keep: 1,
        cell: ({ protocol }) => ({ text: protocol }),
        by: ({ protocol }) => protocol,
      },
      {
        name: 'source',
        head: 'source',
        width: 15,
        grows: true,
        cell: ({ source }) => ({ text: source }),
        by: ({ source }) => source,
      },
      {
        name: 'destination',
        head: 'destination',
        width: 15,
        grows: true,
        cell: ({ destination }) => ({ text: destination }),
        by: ({ destination }) => destination,
      },
      {
        name: 'packets',
        head: 'pps',
        width: 6,
        align: 'right',
        keep: 4,
        cell: ({ packets }) => quiet(packets, short(packets)),
        by: ({ packets }) => packets,
      },
      {
        name: 'bits',
        head: 'bit/s',
        width: 6,
        align: 'right',
        cell: ({ bytes }) => quiet(bytes, bits(bytes)),
        by: ({ bytes }) => bytes,
      },
    ],
  };
}

/** @param choice only connections of this thread */
export function connectionTable(
  told: Told<Connection> | null,
  choice: Choice | null,
  core: number | null,
): Table<Connection> {
  const { items, total, why } = itemsOf(told);
  const rows = choice?.section === 'threads' ? items.filter((connection) => connection.core === core) : items;
  return {
    title: 'Connections',
    note: total > items.length ? `first ${items.length} of ${total}` : String(total),
    empty: why ?? 'none',
    rows,
    keyOf: ({ core: number, local, remote }) => `${number} ${local} ${remote}`,
    columns: [
      {
        name: 'remote',
        head: 'remote',
        width: 13,
        grows: true,
        cell: ({ remote }) => ({ text: remote, tone: 'strong' }),
      },
      { name: 'local', head: 'local', width: 10, grows: true, keep: 3, cell: ({ local }) => ({ text: local }) },
      {
        name: 'state',
        head: 'state',
        width: 11,
        keep: 10,
        cell: ({ state }) => ({ text: state, ...(state === 'ESTABLISHED' ? { tone: 'dim' } : {}) }),
        by: ({ state }) => state,
      },
      {
        name: 'rtt',
        head: 'rtt ms',
        width: 7,
        align: 'right',
        cell: ({ rtt }) => ({ text: milliseconds(rtt) }),
        by: ({ rtt }) => rtt,
      },
      {
        name: 'variance',
        head: '± ms',
        width: 6,
        align: 'right',
        keep: 4,
        cell: ({ rttVariance }) => ({ text: milliseconds(rttVariance), tone: 'dim' }),
      },
      {
        name: 'min-rtt',
        head: 'min',
        width: 6,
        align: 'right',
        keep: 2,
        cell: ({ minRtt }) => ({ text: milliseconds(minRtt), tone: 'dim' }),
      },
      {
        name: 'cwnd',
        head: 'cwnd',
        width: 6,
        align: 'right',
        keep: 7,
        cell: (row) => ({ text: short(row.congestionWindow) }),
      },
      {
        name: 'window',
        head: 'window',
        width: 6,
        align: 'right',
        keep: 5,
        cell: ({ sendWindow }) => ({ text: short(sendWindow) }),
      },
      {
        name: 'in-flight',
        head: 'flight',
        width: 6,
        align: 'right',
        keep: 6,
        cell: ({ inFlight }) => quiet(inFlight, short(inFlight)),
      },
      {
        name: 'unsent',
        head: 'unsent',
        width: 7,
        align: 'right',
        keep: 8,
        cell: ({ unsent }) => quiet(unsent, short(unsent)),
        by: ({ unsent }) => unsent,
      },
      {
        ...{ name: 'retransmitted', head: 'retrans', width: 8, align: 'right', keep: 9 },
        cell: ({ retransmitted }) => ({ text: short(retransmitted), tone: retransmitted === 0 ? 'dim' : 'warn' }),
        by: ({ retransmitted }) => retransmitted,
      },
      {
        name: 'bytes',
        head: 'bytes',
        width: 6,
        align: 'right',
        cell: (row) => quiet(bytesOf(row), short(bytesOf(row))),
        by: bytesOf,
      },
      {
        name: 'congestion',
        head: 'control',
        width: 7,
        keep: 1,
        cell: ({ congestion }) => ({ text: congestion, tone: 'dim' }),
      },
      {
        name: 'core',
        head: 'core',
        width: 4,
        align: 'right',
        keep: 0,
        cell: (row) => ({ text: String(row.core), tone: 'dim' }),
      },
    ],
  };
}

const bytesOf = ({ bytesIn, bytesOut }: Connection): number => bytesIn + bytesOut;
