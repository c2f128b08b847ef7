/** The tables of the page: what is in their columns. */
import { bits, count, percent, pps, si } from '../model/format.js';
import type { DropLook, DropScope, EdgeLook, Look, PortLook, ThreadLook } from '../model/look.js';
import { shortName } from '../model/look-at-port.js';
import { edgeKey, type Rates, type ThreadRates } from '../model/rates.js';
import type { Connection, Connections, Flow, Flows, Told } from '../model/told.js';
import { byId, make, setText, withCode } from './dom.js';
import { type Column, SortableTable } from './table.js';

/** What to do about drops, by scope and reason: the tables of docs/observe.md. */
export type Advice = Readonly<Partial<Record<DropScope, Readonly<Record<string, string>>>>>;

type PortRow = PortLook & { readonly rates: ReturnType<Rates['ports']['get']> };
type ThreadRow = ThreadLook & { readonly rates: ThreadRates | undefined };
type DropRow = DropLook & { readonly rate: number; readonly advice: string };
type EdgeRow = EdgeLook & { readonly rate: { readonly packets: number; readonly bytes: number } };

const number = <Row>(
  title: string,
  value: (row: Row) => number | null,
  text: (value: number) => string,
  more: Partial<Column<Row>> = {},
): Column<Row> => ({
  ...{ title, value, kind: 'number' },
  text: (row) => {
    const one = value(row);
    return one === null ? '–' : text(one);
  },
  ...more,
});

export class Tables {
  private readonly ports = portTable();
  private readonly threads = threadTable();
  private readonly drops = dropTable();
  private readonly edges = edgeTable();
  private readonly flows = flowTable();
  private readonly connections = connectionTable();

  constructor(private readonly advice: Advice) {}

  update(look: Look, rates: Rates): void {
    this.ports.update(look.ports.map((port) => ({ ...port, rates: rates.ports.get(port.name) })));
    this.threads.update(look.threads.map((thread) => ({ ...thread, rates: rates.threads.get(thread.title) })));
    const dropped = look.drops.filter((drop) => drop.count > 0);
    this.drops.update(
      dropped.map((drop) => ({
        ...drop,
        ...{ rate: rates.drops.get(drop.key) ?? 0, advice: this.advice[drop.scope]?.[drop.reason] ?? '' },
      })),
    );
    const none = { packets: 0, bytes: 0 };
    this.edges.update(look.graph.edges.map((edge) => ({ ...edge, rate: rates.edges.get(edgeKey(edge)) ?? none })));
  }

  showFlows(told: Told<Flows>): void {
    if ('problem' in told) {
      this.flows.update([], told.problem);
      return;
    }
    const { flows, sampled } = told.result;
    this.flows.describe(`${LARGEST}${sampled ? '; estimated from a sample of the packets' : ''}`);
    this.flows.update(flows);
  }

  showConnections(told: Told<Connections>): void {
    if ('problem' in told) {
      this.connections.update([], told.problem);
      return;
    }
    const { connections, total } = told.result;
    const shown = connections.length < total ? `The ${connections.length} connections with the most bytes, of` : 'All';
    this.connections.describe(`${shown} ${count(total)} connections`);
    this.connections.update(connections);
  }
}

const portTable = (): SortableTable<PortRow> =>
  new SortableTable<PortRow>(byId('ports'), {
    caption: 'In: from the device or the peer. Totals are since the start.',
    none: 'There are no ports.',
    key: ({ name }) => name,
    sortBy: 0,
    columns: [
      {
        title: 'Port',
        value: ({ name }) => name,
        fill: (cell, { name, isUp }) => showTag(cell, name, isUp ? '' : 'is-down', isUp ? '' : ', down'),
      },
      number('In', ({ rates }) => rates?.in.packets ?? 0, pps),
      number('In, bits', ({ rates }) => rates?.in.bytes ?? 0, bits),
      number('Out', ({ rates }) => rates?.out.packets ?? 0, pps),
      number('Out, bits', ({ rates }) => rates?.out.bytes ?? 0, bits),
      number('Drops', ({ rates }) => rates?.dropped ?? 0, pps, { isBad: ({ rates }) => (rates?.dropped ?? 0) > 0 }),
      number('Packets in', (port) => port.in.packets, count),
      number('Packets out', (port) => port.out.packets, count),
      number('Bytes in', (port) => port.in.bytes, count),
      number('Bytes out', (port) => port.out.bytes, count),
      number('Dropped in', (port) => port.in.dropped, count),
      number('Dropped out', (port) => port.out.dropped, count),
      { title: 'Connected to', kind: 'long', value: ({ problem, detail }) => problem ?? detail },
    ],
  });

const threadTable = (): SortableTable<ThreadRow> =>
  new SortableTable<ThreadRow>(byId('threads'), {
    caption: 'Busy: share of the time in which a thread found something to do. Near 100 %, it is the limit.',
    none: 'There are no threads.',
    key: ({ title }) => title,
    columns: [
      {
        title: 'Thread',
        value: ({ title }) => title,
        fill: (cell, { title, state }) =>
          showTag(cell, title, state === 'awake' ? '' : state === 'asleep' ? 'is-asleep' : 'is-down', `, ${state}`),
      },
      {
        title: 'Busy',
        kind: 'number',
        value: ({ rates }) => rates?.busy ?? null,
        fill: (cell, { rates }) => showBar(cell, rates?.busy ?? null),
      },
      number('In', ({ rates }) => rates?.in ?? null, pps),
      number('Out', ({ rates }) => rates?.out ?? null, pps),
      number('Drops', ({ rates }) => rates?.dropped ?? 0, pps, { isBad: ({ rates }) => (rates?.dropped ?? 0) > 0 }),
      number('Dropped', ({ dropped }) => dropped, count),
      number('Buffers held', ({ held }) => held, count),
      {
        title: 'Rings',
        value: ({ rings }) => rings.map((ring) => `${ring.name} ${ring.count}/${ring.capacity}`).join(', '),
      },
    ],
  });

const dropTable = (): SortableTable<DropRow> =>
  new SortableTable<DropRow>(byId('drops'), {
    caption: 'Packets that were dropped since the start, and what to do about it',
    none: 'No packet was dropped since the start.',
    key: ({ key }) => key,
    sortBy: 2,
    stacks: true,
    columns: [
      {
        title: 'Reason',
        value: ({ reason }) => reason,
        fill: (cell, { reason, where }) =>
          fillOnce(cell, reason, make('code', '', reason), make('span', 'where', ` ${where}`)),
      },
      number('Now', ({ rate }) => rate, pps, { isBad: ({ rate }) => rate > 0 }),
      number('Packets', (drop) => drop.count, count),
      {
        title: 'What to do',
        kind: 'long',
        value: ({ advice }) => advice,
        fill: (cell, { advice }) => fillOnce(cell, advice, ...withCode(advice)),
      },
    ],
  });

const edgeTable = (): SortableTable<EdgeRow> =>
  new SortableTable<EdgeRow>(byId('edges'), {
    caption: 'What leads where, with its rate',
    none: 'There are no edges.',
    key: edgeKey,
    columns: [
      { title: 'From', value: ({ from }) => from },
      { title: 'Gate', value: ({ gate }) => gate },
      { title: 'To', value: ({ to }) => to },
      number('Rate', ({ rate }) => rate.packets, pps),
      number('Bits', ({ rate, hasBytes }) => (hasBytes ? rate.bytes : null), bits),
      number('Packets', (edge) => edge.packets, count),
    ],
  });

const LARGEST = 'The flows with the most bytes in the last second';

const flowTable = (): SortableTable<Flow> =>
  new SortableTable<Flow>(byId('flows'), {
    caption: LARGEST,
    none: 'No packets in the last second.',
    key: (flow) => [flow.interface, flow.direction, flow.protocol, flow.source, flow.destination].join(' '),
    sortBy: 6,
    columns: [
      { title: 'Interface', value: (flow) => shortName(flow.interface) },
      { title: 'Way', value: ({ direction }) => direction },
      { title: 'Protocol', value: ({ protocol }) => protocol },
      { title: 'Source', value: ({ source }) => source },
      { title: 'Destination', value: ({ destination }) => destination },
      number('Packets', ({ packetsPerSecond }) => packetsPerSecond, pps),
      number('Bits', ({ bytesPerSecond }) => bytesPerSecond, bits),
    ],
  });

const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)} ms`;
const bytes = (value: number): string => si(value, 'B');

const connectionTable = (): SortableTable<Connection> =>
  new SortableTable<Connection>(byId('connections'), {
    caption: 'All connections',
    none: 'There are no connections.',
    key: ({ core, local, remote }) => [core, local, remote].join(' '),
    sortBy: 4,
    columns: [
      number('Core', ({ core }) => core, count),
      { title: 'Local', value: ({ local }) => local },
      { title: 'Remote', value: ({ remote }) => remote },
      { title: 'State', value: ({ state }) => state },
      number('In', ({ bytesIn }) => bytesIn, bytes),
      number('Out', ({ bytesOut }) => bytesOut, bytes),
      number('RTT', ({ rtt }) => rtt, ms),
      number('Window', ({ congestionWindow }) => congestionWindow, bytes),
      number("Peer's window", ({ sendWindow }) => sendWindow, bytes),
      number('In flight', ({ inFlight }) => inFlight, bytes),
      number('Unsent', ({ unsent }) => unsent, bytes),
      number('Retransmitted', ({ retransmitted }) => retransmitted, count, {
        isBad: ({ retransmitted }) => retransmitted > 0,
      }),
    ],
  });

/** A name behind a lamp; what the colour says is also said to a screen reader. */
function showTag(cell: HTMLElement, name: string, state: string, said: string): void {
  const shown = `tag ${state}`.trim();
  const [tag] = cell.children;
  if (tag?.className === shown && tag.textContent === `${name}${said}`) return;
  const hidden = make('span', state === 'is-asleep' || state === '' ? 'unseen' : '', said);
  cell.replaceChildren(make('span', shown, make('i'), make('span', '', name, hidden)));
}

function showBar(cell: HTMLElement, share: number | null): void {
  let [bar, text] = cell.children as unknown as [HTMLElement | undefined, HTMLElement | undefined];
  if (bar === undefined || text === undefined) {
    bar = make('span', 'bar', make('i'));
    bar.setAttribute('aria-hidden', 'true');
    text = make('span');
    cell.replaceChildren(bar, text);
  }
  (bar.firstChild as HTMLElement).style.width = `${Math.round(100 * (share ?? 0))}%`;
  setText(text, share === null ? '–' : percent(share));
}

/** Fills a cell whose content never changes. */
function fillOnce(cell: HTMLElement, text: string, ...content: Node[]): void {
  if (cell.textContent === '' && text !== '') cell.replaceChildren(...content);
}
