/** What the counters of a port (`tspmd run`, `tspmd exec`) say. */
import type { DropLook, DropScope, EdgeLook, Graph, Look, NodeLook, ThreadLook } from './look.js';
import type { Counters, PortTold, Thread } from './told.js';

/** Names of counters of packets that are gone; the layer counts them as `drop`, the driver as `dropped`. */
const DROP = /^(rx|tx)_(drop|dropped|lost)_(.+)$/;
const MS = 1000;

export function lookAtPort(at: number, told: PortTold): Look {
  const { counters, device, cores, workers } = told;
  const drops = dropsIn(counters);
  const droppedOf = (way: string): number => sum(drops.filter(({ key }) => key.startsWith(way)));
  const traffic = (way: 'rx' | 'tx') => ({
    packets: of(counters, `${way}_packets`),
    bytes: of(counters, `${way}_bytes`),
  });
  return {
    ...{ at, in: traffic('rx'), out: traffic('tx'), dropped: sum(drops), drops },
    ports: [
      {
        ...{ name: shortName(device), detail: device, isUp: true, problem: null },
        in: { ...traffic('rx'), dropped: droppedOf('rx') },
        out: { ...traffic('tx'), dropped: droppedOf('tx') },
      },
    ],
    threads: threadsOf(told),
    graph: graphOf(told),
    noRings: cores.some(({ rings }) => rings !== null)
      ? null
      : `${workers.length === 0 ? 'With --mode single, one thread does everything' : 'This process'}: there are no rings between threads.`,
  };
}

/** The end of a path; other devices have short names: `tap:tap0`, `0000:00:04.0`. */
const shortName = (device: string): string => /([^/,]+)(?:,.*)?$/.exec(device)?.[1] ?? device;
const of = (counters: Counters, name: string): number => counters[name] ?? 0;
const sum = (drops: readonly DropLook[]): number => drops.reduce((all, { count }) => all + count, 0);

/** The drops among counters, also those that are 0. */
export function dropsIn(counters: Counters): DropLook[] {
  return Object.entries(counters).flatMap(([key, count]) => {
    const [, way, fate, reason] = DROP.exec(key) ?? [];
    if (way === undefined || fate === undefined || reason === undefined) return [];
    const isDriver = fate === 'dropped' || reason === 'on_reset';
    const direction = way === 'rx' ? 'received' : 'to send';
    const scope: DropScope = isDriver ? 'driver' : fate === 'lost' ? 'lost' : direction;
    return [{ key, where: `${isDriver ? 'driver' : 'layer'}, ${direction}`, scope, reason, count }];
  });
}

function threadsOf({ cores, workers }: PortTold): ThreadLook[] {
  const common = ({ title, isAlive, isAsleep, counters }: Thread) => ({
    ...{ title, state: !isAlive ? ('ended' as const) : isAsleep ? ('asleep' as const) : ('awake' as const) },
    ...{ busy: of(counters, 'loop_busy_ms') / MS, idle: of(counters, 'loop_idle_ms') / MS },
    dropped: sum(dropsIn(counters)),
  });
  return [
    ...cores.map((core) => ({
      ...common(core),
      ...{ in: of(core.counters, 'rx_delivered'), out: of(core.counters, 'tx_queued') },
      held: of(core.counters, 'held_by_stack'),
      rings: Object.entries(core.rings ?? {}).map(([name, { count, capacity }]) => ({ name, count, capacity })),
    })),
    ...workers.map((worker) => ({
      ...common(worker),
      in: worker.role === 'Tx' ? null : of(worker.counters, 'rx_frames'),
      out: worker.role === 'Rx' ? null : of(worker.counters, 'tx_handed'),
      ...{ held: null, rings: [] },
    })),
  ];
}

/** The way of the packets: device, receiving worker, cores, sending worker, device. */
function graphOf({ device, counters, cores, workers }: PortTold): Graph {
  const node = (id: string, thread: Thread, detail: string): NodeLook => ({
    ...{
      id,
      title: thread.title,
      detail,
      about: detail,
      kind: 'thread',
      thread: thread.title,
      dropped: sum(dropsIn(thread.counters)),
    },
    state: !thread.isAlive ? 'down' : thread.isAsleep ? 'asleep' : 'up',
  });
  const end = (id: 'in' | 'out', detail: string): NodeLook => ({
    ...{ id, title: shortName(device), detail, about: device, kind: id, state: 'up', thread: null },
    dropped: sum(
      dropsIn(counters).filter(({ scope, key }) => scope === 'driver' && key.startsWith(id === 'in' ? 'rx' : 'tx')),
    ),
  });
  const edge = (from: string, to: string, packets: number, bytes?: number): EdgeLook => ({
    ...{ from, to, gate: '', packets, bytes: bytes ?? 0, hasBytes: bytes !== undefined },
  });
  const receiver = workers.find(({ role }) => role !== 'Tx');
  const sender = workers.find(({ role }) => role !== 'Rx');
  const deviceIn = [of(counters, 'rx_packets'), of(counters, 'rx_bytes')] as const;
  const deviceOut = [of(counters, 'tx_packets'), of(counters, 'tx_bytes')] as const;
  const coreIds = cores.map((_, i) => `core ${i}`);
  const hasWorkers = receiver !== undefined && sender !== undefined;
  return {
    nodes: [
      end('in', 'receives'),
      ...(hasWorkers ? [node('receiver', receiver, 'receives')] : []),
      ...cores.map((core, i) => node(coreIds[i] ?? '', core, 'stack')),
      ...(hasWorkers ? [node('sender', sender, 'sends')] : []),
      end('out', 'sends'),
    ],
    edges: [
      ...(hasWorkers ? [edge('in', 'receiver', ...deviceIn)] : []),
      ...cores.flatMap(({ counters: own }, i) => {
        const id = coreIds[i] ?? '';
        if (!hasWorkers) return [edge('in', id, ...deviceIn), edge(id, 'out', ...deviceOut)];
        return [edge('receiver', id, of(own, 'rx_delivered')), edge(id, 'sender', of(own, 'tx_queued'))];
      }),
      ...(hasWorkers ? [edge('sender', 'out', ...deviceOut)] : []),
    ],
  };
}
