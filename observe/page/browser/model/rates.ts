/** What has changed between two looks, per second. */
import type { DropLook, EdgeLook, Look, ThreadLook, Traffic } from './look.js';

export interface Rates {
  readonly in: Traffic;
  readonly out: Traffic;
  readonly dropped: number;
  /** By name of port. */
  readonly ports: ReadonlyMap<string, { readonly in: Traffic; readonly out: Traffic; readonly dropped: number }>;
  /** By title of thread. */
  readonly threads: ReadonlyMap<string, ThreadRates>;
  /** By key of drop. */
  readonly drops: ReadonlyMap<string, number>;
  /** Drops, by id of node. */
  readonly nodes: ReadonlyMap<string, number>;
  /** By {@link edgeKey}. */
  readonly edges: ReadonlyMap<string, Traffic>;
}

export interface ThreadRates {
  /** Share of the time in which it was busy, 0 to 1; null when it does not measure that. */
  readonly busy: number | null;
  readonly in: number | null;
  readonly out: number | null;
  readonly dropped: number;
}

export const edgeKey = ({ from, to, gate }: Pick<EdgeLook, 'from' | 'to' | 'gate'>): string => `${from} ${gate} ${to}`;

/** @param before null: there is none, or it is of another process; all rates are 0 then */
export function ratesOf(now: Look, before: Look | null): Rates {
  const seconds = before === null ? 0 : now.at - before.at;
  /** A counter that has fallen begins anew. */
  const per = (count: number, old: number | undefined): number =>
    old === undefined || !(seconds > 0) || !(count > old) ? 0 : (count - old) / seconds;
  const traffic = (one: Traffic, old: Traffic | undefined): Traffic => ({
    packets: per(one.packets, old?.packets),
    bytes: per(one.bytes, old?.bytes),
  });
  const old = {
    ports: new Map(before?.ports.map((port) => [port.name, port])),
    threads: new Map(before?.threads.map((thread) => [thread.title, thread])),
    drops: new Map(before?.drops.map((drop) => [drop.key, drop])),
    nodes: new Map(before?.graph.nodes.map(({ id, dropped }) => [id, dropped])),
    edges: new Map(before?.graph.edges.map((edge) => [edgeKey(edge), edge])),
  };
  return {
    in: traffic(now.in, before?.in),
    out: traffic(now.out, before?.out),
    dropped: per(now.dropped, before?.dropped),
    ports: new Map(
      now.ports.map((port) => {
        const last = old.ports.get(port.name);
        const lost = last === undefined ? undefined : last.in.dropped + last.out.dropped;
        const dropped = per(port.in.dropped + port.out.dropped, lost);
        return [port.name, { in: traffic(port.in, last?.in), out: traffic(port.out, last?.out), dropped }];
      }),
    ),
    threads: new Map(
      now.threads.map((thread) => [thread.title, threadRates(thread, old.threads.get(thread.title), seconds, per)]),
    ),
    drops: new Map(now.drops.map(({ key, count }) => [key, per(count, oldCount(old.drops, key, before))])),
    nodes: new Map(now.graph.nodes.map(({ id, dropped }) => [id, per(dropped, old.nodes.get(id))])),
    edges: new Map(now.graph.edges.map((edge) => [edgeKey(edge), traffic(edge, old.edges.get(edgeKey(edge)))])),
  };
}

/** A device leaves out reasons of which it has counted none. */
function oldCount(drops: ReadonlyMap<string, DropLook>, key: string, before: Look | null): number | undefined {
  return before === null ? undefined : (drops.get(key)?.count ?? 0);
}

function threadRates(
  now: ThreadLook,
  before: ThreadLook | undefined,
  seconds: number,
  per: (count: number, old: number | undefined) => number,
): ThreadRates {
  const orNone = (count: number | null, old: number | null | undefined): number | null =>
    count === null ? null : per(count, old ?? undefined);
  return {
    busy: before === undefined || !(seconds > 0) ? null : busyShare(now, before, seconds),
    in: orNone(now.in, before?.in),
    out: orNone(now.out, before?.out),
    dropped: per(now.dropped, before?.dropped),
  };
}

/**
 * A sleep is counted when it ends, and may have begun before this period; a thread that still sleeps is idle for the rest
 * of it.
 */
function busyShare(now: ThreadLook, before: ThreadLook, seconds: number): number | null {
  if (now.busy + now.idle === 0) return null;
  const busy = Math.max(0, now.busy - before.busy);
  const rest = Math.max(0, seconds - busy);
  const idle = now.state === 'asleep' ? rest : Math.min(Math.max(0, now.idle - before.idle), rest);
  return busy + idle === 0 ? null : busy / (busy + idle);
}
