/** What is shown of a process, from top to bottom; and the list of processes. */
import { timeText } from '../../../observe/page/browser/model/format.js';
import { bits, percent, short, sparkline } from './figures.js';
import type { Rates } from './history.js';
import { CHART, type Choice, dropTable, gateTable, MAX_CHART, portTable, quiet, threadTable } from './port-tables.js';
import { layOut, type Shown, type Sort, type Table } from './table.js';
import { connectionTable, flowTable } from './traffic-tables.js';
import type { Watched } from './watcher.js';

export type SectionName = 'processes' | 'ports' | 'threads' | 'drops' | 'modules' | 'flows' | 'connections';

/** A table without the type of its rows. */
export interface Section {
  readonly name: SectionName;
  readonly title: string;
  readonly note: string;
  readonly empty: string;
  /** Names of the columns by which its rows can be sorted. */
  readonly sortable: readonly string[];
  layOut(sort: Sort | undefined, width: number): Shown;
}

function sectionOf<T>(name: SectionName, table: Table<T>): Section {
  const { title, note = '', empty, columns } = table;
  const sortable = columns.filter(({ by }) => by !== undefined).map((column) => column.name);
  return { name, title, note, empty, sortable, layOut: (sort, width) => layOut(table, sort, width) };
}

/** The sections of a process, as far as they are known. */
export function sectionsOf(watched: Watched, choice: Choice | null): Section[] {
  const { rates, slots, flows, connections, about } = watched;
  if (rates === null) return [];
  const chosenThread =
    choice?.section === 'threads' ? rates.threads.find(({ thread }) => thread.title === choice.key) : undefined;
  const port = choice?.section === 'ports' && rates.ports.length > 1 ? choice.key : null;
  const isSwitch = about.kind === 'switch';
  return [
    sectionOf('ports', portTable(rates, slots)),
    ...(isSwitch && rates.threads.length === 0 ? [] : [sectionOf('threads', threadTable(rates, slots))]),
    sectionOf('drops', dropTable(rates, choice)),
    ...(isSwitch ? [sectionOf('modules', gateTable(rates, slots))] : []),
    sectionOf('flows', flowTable(flows, rates.ports.length, port)),
    ...(isSwitch
      ? []
      : [sectionOf('connections', connectionTable(connections, choice, chosenThread?.thread.core ?? null))]),
  ];
}

/** What all ports of a process do together, per second. */
function totalOf(rates: Rates | null, what: 'in' | 'out', unit: 'packets' | 'bytes'): number {
  return rates === null ? 0 : rates.ports.reduce((sum, port) => sum + port[what][unit], 0);
}

const droppedOf = (rates: Rates | null): number =>
  rates === null ? 0 : rates.ports.reduce((sum, { dropped }) => sum + dropped, 0);

/** The share of the busiest thread. */
function busiestOf(rates: Rates | null): number | null {
  const shares = (rates?.threads ?? []).flatMap(({ busy }) => (busy === null ? [] : [busy]));
  return shares.length === 0 ? null : Math.max(...shares);
}

export function processSection(processes: readonly Watched[]): Section {
  const packets = (what: 'in' | 'out') => ({
    ...({ name: `${what}-packets`, head: `${what} pps`, width: 8, align: 'right' } as const),
    cell: ({ rates }: Watched) => quiet(totalOf(rates, what, 'packets'), short(totalOf(rates, what, 'packets'))),
    by: ({ rates }: Watched) => totalOf(rates, what, 'packets'),
  });
  const bytes = (what: 'in' | 'out', keep: number) => ({
    ...({ name: `${what}-bits`, head: 'bit/s', width: 6, align: 'right', keep } as const),
    cell: ({ rates }: Watched) => quiet(totalOf(rates, what, 'bytes'), bits(totalOf(rates, what, 'bytes'))),
    by: ({ rates }: Watched) => totalOf(rates, what, 'bytes'),
  });
  return sectionOf('processes', {
    title: 'Processes',
    note: String(processes.length),
    empty: 'none runs now',
    rows: processes,
    keyOf: ({ key }) => key,
    columns: [
      {
        ...{ name: 'name', head: 'name', width: 9, grows: true },
        cell: ({ about, hasEnded }) => ({ text: about.name, tone: hasEnded ? 'dim' : 'strong' }),
        by: ({ about }) => about.name,
      },
      {
        name: 'kind',
        head: 'kind',
        width: 6,
        keep: 4,
        cell: ({ about }) => ({ text: about.kind }),
        by: ({ about }) => about.kind,
      },
      {
        name: 'pid',
        head: 'pid',
        width: 7,
        align: 'right',
        keep: 5,
        cell: ({ about }) => ({ text: String(about.pid) }),
        by: ({ about }) => about.pid,
      },
      {
        name: 'state',
        head: 'state',
        width: 8,
        keep: 2,
        cell: (watched) => ({
          text: stateOf(watched),
          tone: watched.hasEnded || watched.problem !== null ? 'warn' : 'dim',
        }),
      },
      packets('in'),
      bytes('in', 6),
      packets('out'),
      bytes('out', 7),
      {
        ...{ name: 'drops', head: 'drops/s', width: 8, align: 'right' },
        cell: ({ rates }) => ({ text: short(droppedOf(rates)), tone: droppedOf(rates) === 0 ? 'dim' : 'bad' }),
        by: ({ rates }) => droppedOf(rates),
      },
      {
        name: 'busy',
        head: 'busy',
        width: 5,
        align: 'right',
        keep: 3,
        cell: ({ rates }) => ({ text: percent(busiestOf(rates)) }),
        by: ({ rates }) => busiestOf(rates) ?? -1,
      },
      {
        name: 'minute',
        head: 'minute',
        width: CHART,
        grows: MAX_CHART,
        keep: 1,
        cell: (watched, width) => courseOf(watched, width),
      },
      {
        name: 'devices',
        head: 'devices',
        width: 12,
        grows: true,
        keep: 0,
        cell: ({ about }) => ({ text: about.devices.join(' '), tone: 'dim' }),
      },
    ],
  });
}

/** Packets in and out of all ports. */
function courseOf({ rates, slots }: Watched, width: number): { text: string; tone: 'accent' | 'dim' } {
  const courses = (rates?.ports ?? []).flatMap((port) => [port.in.course, port.out.course]);
  const longest = courses.reduce((most, { values }) => Math.max(most, values.length), 0);
  const sums = Array.from({ length: longest }, (_, i) =>
    courses.reduce((sum, { values }) => sum + (values[i - longest + values.length] ?? 0), 0),
  );
  const begun = courses[0]?.begun ?? 0;
  return { text: sparkline(sums, slots, begun, width), tone: sums.some((value) => value > 0) ? 'accent' : 'dim' };
}

function stateOf({ about, hasEnded, problem }: Watched): string {
  if (hasEnded) return 'ended';
  return problem === null ? about.state : about.state === 'starting' ? 'starting' : 'silent';
}

/** What a process is, for the first line. */
export function describe({ about: { kind, pid, name, address, devices, mode, uptime }, hasEnded }: Watched): string[] {
  const facts = [`${kind} ${pid}`, address, mode, hasEnded ? 'ended' : `up ${timeText(uptime)}`, devices.join(' ')];
  return [name, ...facts.filter((fact) => fact !== null && fact !== '').map(String)];
}
