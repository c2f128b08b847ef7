/** What the counters of a port (`tspmd run`, `tspmd exec`) say. */
import type { DropLook, DropScope, EdgeLook, Graph, Look, NodeLook, ThreadLook } from './look.js';
import type { Counters, PortTold, Thread } from './told.js';

/** Names of counters of packets that are gone; the layer counts them as `drop`, the driver as `dropped`. */
const DROP = /^(rx|tx)_(drop|dropped|lost)_(.+)$/;
const MS = 1000;

export function lookAtPort(at: number, told: PortTold): Look {
  const { counters, device, cores } = told;
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
        ...{ name: shortName(device), detail: kindOf(device), isUp: true, problem: null },
        in: { ...traffic('rx'), dropped: droppedOf('rx') },
        out: { ...traffic('tx'), dropped: droppedOf('tx') },
      },
    ],
    threads: threadsOf(told),
    graph: graphOf(told),
    noRings: cores.some(({ rings }) => rings !== null)
      ? null
      : 'One thread does everything: there are no rings between threads.',
  };
}

/** The end of a path; other devices have short names: `tap:tap0`, `0000:00:04.0`. */
export const shortName = (device: string): string => /([^/,]+)(?:,.*)?$/.exec(device)?.[1] ?? device;
const kindOf = (device: string): string => /^(vhost-user|tap):/.exec(device)?.[1] ?? 'PCI';
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

/** The way of the packets: device, receiving worker, cores, sending worker, device. What is passed twice has two nodes. */
function graphOf({ device, counters, cores, workers }: PortTold): Graph {
  const receiver = workers.find(({ role }) => role !== 'Tx');
  const sender = workers.find(({ role }) => role !== 'Rx');
  const deviceIn = deviceNode(device, 'in', dropsIn(counters));
  const deviceOut = deviceNode(device, 'out', dropsIn(counters));
  const stacks = cores.map((core) => threadNode(core, 'stack', dropsIn(core.counters)));
  const received = [of(counters, 'rx_packets'), of(counters, 'rx_bytes')] as const;
  const sent = [of(counters, 'tx_packets'), of(counters, 'tx_bytes')] as const;
  if (receiver === undefined || sender === undefined) {
    const edges = stacks.flatMap((core) => [edge(deviceIn, core, ...received), edge(core, deviceOut, ...sent)]);
    return { nodes: [deviceIn, ...stacks, deviceOut], edges };
  }
  const receives = threadNode(receiver, 'receives', dropsOn(receiver.counters, 'rx'));
  const sends = threadNode(sender, 'sends', dropsOn(sender.counters, 'tx'));
  const ofCores = stacks.flatMap((core, i) => {
    const own = cores[i]?.counters ?? {};
    return [edge(receives, core, of(own, 'rx_delivered')), edge(core, sends, of(own, 'tx_queued'))];
  });
  return {
    nodes: [deviceIn, receives, ...stacks, sends, deviceOut],
    edges: [edge(deviceIn, receives, ...received), ...ofCores, edge(sends, deviceOut, ...sent)],
  };
}

const dropsOn = (counters: Counters, way: string): DropLook[] =>
  dropsIn(counters).filter(({ key }) => key.startsWith(way));

function threadNode({ title, isAlive, isAsleep }: Thread, detail: string, drops: readonly DropLook[]): NodeLook {
  const state = !isAlive ? 'down' : isAsleep ? 'asleep' : 'up';
  return {
    ...{ id: `${title} (${detail})`, title, detail, about: detail, kind: 'thread', state, thread: title },
    dropped: sum(drops),
  };
}

function deviceNode(device: string, kind: 'in' | 'out', drops: readonly DropLook[]): NodeLook {
  const [title, detail] = [shortName(device), kind === 'in' ? 'receives' : 'sends'];
  const way = kind === 'in' ? 'rx' : 'tx';
  const own = drops.filter(({ scope, key }) => scope === 'driver' && key.startsWith(way));
  return {
    ...{ id: `${title} (${detail})`, title, detail, about: device, kind, state: 'up', thread: null },
    dropped: sum(own),
  };
}

/** @param bytes left out where only packets are counted */
function edge({ id: from }: NodeLook, { id: to }: NodeLook, packets: number, bytes?: number): EdgeLook {
  return { from, to, gate: '', packets, bytes: bytes ?? 0, hasBytes: bytes !== undefined };
}
