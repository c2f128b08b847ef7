/**
 * Puts the nodes of a graph into layers, so that edges lead from one layer to the next (Sugiyama, Tagawa, Toda 1981). An edge
 * over several layers passes a waypoint in each of those between, so that it crosses no node.
 */
import type { Graph } from './look.js';

/** A node, or the waypoint of an edge. */
export interface Cell {
  readonly id: string;
  readonly isWaypoint: boolean;
}

export interface Layered {
  readonly layers: readonly (readonly Cell[])[];
  /** For each edge of the graph that can be drawn, the ids of its cells from the source to the target. */
  readonly routes: readonly { readonly edge: number; readonly cells: readonly string[] }[];
}

/** How often the order in the layers is improved, in each direction. */
const SWEEPS = 4;

export function layered({ nodes, edges }: Graph): Layered {
  const known = new Set(nodes.map(({ id }) => id));
  const drawn = edges
    .map((edge, index) => ({ ...edge, index }))
    .filter(({ from, to }) => known.has(from) && known.has(to));
  const depth = depths(nodes, drawn);
  const layers: Cell[][] = Array.from({ length: Math.max(0, ...depth.values()) + 1 }, () => []);
  for (const { id } of nodes) layers[depth.get(id) ?? 0]?.push({ id, isWaypoint: false });
  const routes = drawn.map(({ from, to, index }) => {
    const cells = [from];
    for (let layer = (depth.get(from) ?? 0) + 1; layer < (depth.get(to) ?? 0); layer++) {
      const id = `edge ${index} in ${layer}`;
      layers[layer]?.push({ id, isWaypoint: true });
      cells.push(id);
    }
    return { edge: index, cells: [...cells, to] };
  });
  return { layers: ordered(layers, routes), routes };
}

type Edge = { readonly from: string; readonly to: string };

/** The layer of each node: behind all that lead to it; those that packets leave by are in the last one. */
function depths(nodes: Graph['nodes'], edges: readonly Edge[]): Map<string, number> {
  const depth = new Map(nodes.map(({ id }) => [id, 0]));
  // As often as there are nodes, at most: a circle, which no switch has, must not keep this busy for ever.
  for (let round = 0, changed = true; changed && round < nodes.length; round++) {
    changed = false;
    for (const { from, to } of edges) {
      const least = Math.min((depth.get(from) ?? 0) + 1, nodes.length);
      if ((depth.get(to) ?? 0) >= least) continue;
      depth.set(to, least);
      changed = true;
    }
  }
  const last = Math.max(0, ...depth.values());
  for (const { id, kind } of nodes) if (kind === 'out' && last > 0) depth.set(id, last);
  return depth;
}

/** Puts each cell near the middle of its neighbours, in turns from both sides. */
function ordered(layers: readonly Cell[][], routes: Layered['routes']): Cell[][] {
  const before = new Map<string, string[]>();
  const after = new Map<string, string[]>();
  const note = (map: Map<string, string[]>, key: string, other: string): void => {
    map.set(key, [...(map.get(key) ?? []), other]);
  };
  for (const { cells } of routes) {
    for (const [i, cell] of cells.entries()) {
      const next = cells[i + 1];
      if (next === undefined) continue;
      note(after, cell, next);
      note(before, next, cell);
    }
  }
  let result = layers.map((layer) => [...layer]);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (const [neighbours, isForward] of [[before, true] as const, [after, false] as const]) {
      const place = new Map<string, number>();
      const inTurn = isForward ? result : [...result].reverse();
      const sorted = inTurn.map((layer) => {
        const wish = new Map(
          layer.map(({ id }, i) => [id, middle(neighbours.get(id), place) ?? share(i, layer.length)]),
        );
        const next = [...layer].sort((one, other) => (wish.get(one.id) ?? 0) - (wish.get(other.id) ?? 0));
        for (const [i, { id }] of next.entries()) place.set(id, share(i, next.length));
        return next;
      });
      result = isForward ? sorted : sorted.reverse();
    }
  }
  return result;
}

/** Where a cell is in its layer, from 0 to 1. */
const share = (i: number, length: number): number => (i + 0.5) / length;

function middle(neighbours: readonly string[] | undefined, place: ReadonlyMap<string, number>): number | null {
  const places = neighbours?.flatMap((id) => place.get(id) ?? []) ?? [];
  return places.length === 0 ? null : places.reduce((sum, one) => sum + one, 0) / places.length;
}
