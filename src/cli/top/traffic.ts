/**
 * The answers to `flows` and `connections`, checked: what a process says that it moves most. A process of an older
 * version does not know these questions; its answer says so.
 */
import { type Answer, ask, hasAnswered } from '../../../observe/control/client.js';
import type { ConnectionsArgs } from '../../../observe/control/commands.js';
import type { ControlFile } from '../../../observe/control/files.js';
import type { ListedConnection } from '../../link/published.js';
import { fieldsOf, isObject, listOf, numberOf, textOf } from './reading.js';
import { clean } from './text.js';

export interface Flow {
  readonly interface: string;
  readonly direction: string;
  readonly protocol: string;
  readonly source: string;
  readonly destination: string;
  readonly packets: number;
  readonly bytes: number;
}

/** What is shown of a connection. */
export type Connection = Omit<ListedConnection, 'slowStartThreshold' | 'receiveWindow' | 'mss'>;

/** What was asked for, or one line that says why there is nothing. */
export type Told<T> =
  | { readonly items: readonly T[]; readonly total: number; readonly isSampled?: boolean }
  | { readonly problem: string };

/** How many are asked for: more than a screen shows, so that keys can reach the others. */
const LIMIT = 200;
/** The longest answer, in characters. */
const MAX_ANSWER = 1 << 20;

/** Who says it is clear where it is shown. */
const SAYS = /^\w+ \d+ says: /;

/** Asks for the largest flows. The first question starts the measurement, so its answer may be empty. */
export async function askFlows(file: ControlFile): Promise<Told<Flow>> {
  return told(await ask(file, { command: 'flows', limit: LIMIT }, MAX_ANSWER, isObject), readFlows);
}

/** Asks for the connections that come first in an order. */
export async function askConnections(file: ControlFile, sort: ConnectionsArgs['sort']): Promise<Told<Connection>> {
  return told(await ask(file, { command: 'connections', limit: LIMIT, sort }, MAX_ANSWER, isObject), readConnections);
}

export function readFlows(result: object): Told<Flow> {
  const { flows, sampled } = fieldsOf(result);
  const items = listOf(flows).map(readFlow);
  return { items, total: items.length, isSampled: sampled === true };
}

export function readConnections(result: object): Told<Connection> {
  const { connections, total } = fieldsOf(result);
  const items = listOf(connections).map(readConnection);
  return { items, total: Math.max(items.length, numberOf(total)) };
}

function told<T>(answer: Answer<object> | null, read: (result: object) => Told<T>): Told<T> {
  if (answer === null) return { problem: 'the process has ended' };
  return hasAnswered(answer) ? read(answer.result) : { problem: clean(answer.problem.replace(SAYS, '')) };
}

function readFlow({ packetsPerSecond, bytesPerSecond, ...flow }: Readonly<Record<string, unknown>>): Flow {
  return {
    ...{ interface: textOf(flow.interface), direction: textOf(flow.direction), protocol: textOf(flow.protocol) },
    ...{ source: textOf(flow.source), destination: textOf(flow.destination) },
    ...{ packets: numberOf(packetsPerSecond), bytes: numberOf(bytesPerSecond) },
  };
}

function readConnection(of: Readonly<Record<string, unknown>>): Connection {
  return {
    ...{ core: numberOf(of.core), local: textOf(of.local), remote: textOf(of.remote), state: textOf(of.state) },
    ...{ rtt: numberOf(of.rtt), rttVariance: numberOf(of.rttVariance), minRtt: numberOf(of.minRtt) },
    ...{ congestionWindow: numberOf(of.congestionWindow), sendWindow: numberOf(of.sendWindow) },
    ...{ inFlight: numberOf(of.inFlight), unsent: numberOf(of.unsent), retransmitted: numberOf(of.retransmitted) },
    ...{ bytesIn: numberOf(of.bytesIn), bytesOut: numberOf(of.bytesOut), congestion: textOf(of.congestion) },
  };
}
