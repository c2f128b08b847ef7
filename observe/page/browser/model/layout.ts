/** Where the nodes and edges of a graph are drawn: from left to right, or on a narrow screen from top to bottom. */
import { type Layered, layered } from './layers.js';
import type { Graph } from './look.js';

export interface Box {
  readonly id: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Line {
  /** Place in the edges of the graph. */
  readonly edge: number;
  /** The `d` of an SVG path. */
  readonly path: string;
  /** Where its text is: at the end at which fewer lines meet. */
  readonly label: { readonly x: number; readonly y: number; readonly anchor: 'start' | 'middle' | 'end' };
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly Box[];
  readonly lines: readonly Line[];
}

export type Direction = 'right' | 'down';

/** Sizes along the way of the packets, and across it. */
interface Sizes {
  readonly node: { readonly along: number; readonly across: number };
  /** Between two layers: room for texts. */
  readonly gap: number;
  /** Between two nodes of a layer. */
  readonly space: number;
  /** The room that a waypoint has. */
  readonly waypoint: number;
}

const SIZES: Readonly<Record<Direction, Sizes>> = {
  right: { node: { along: 136, across: 46 }, gap: 112, space: 16, waypoint: 22 },
  down: { node: { along: 48, across: 69 }, gap: 62, space: 6, waypoint: 12 },
};
/** What a phone has across, and the widest node there. */
const PHONE = 298;
const WIDEST = 150;
/** A node this wide has room for the text of its line beside the line. */
const ROOMY = 100;
/** Around everything: room for what is drawn on borders. */
const MARGIN = 6;
/** Between a node and the text of its line. */
const TEXT_GAP = 8;
/** From a line to the foot of its text. */
const ABOVE = -7;
const BELOW = 15;

interface Point {
  readonly along: number;
  readonly across: number;
}

export function layout(graph: Graph, direction: Direction): Layout {
  const { layers, routes } = layered(graph);
  const { node, gap, space, waypoint } = sizesFor(layers, direction);
  const roomOf = (isWaypoint: boolean): number => (isWaypoint ? waypoint : node.across);
  const extents = layers.map((layer) =>
    layer.reduce((sum, { isWaypoint }) => sum + roomOf(isWaypoint) + space, -space),
  );
  const across = Math.max(0, ...extents);
  /** The middle of each cell, across. */
  const middles = new Map<string, Point>();
  for (const [i, layer] of layers.entries()) {
    let at = (across - (extents[i] ?? 0)) / 2;
    for (const { id, isWaypoint } of layer) {
      middles.set(id, { along: i * (node.along + gap), across: at + roomOf(isWaypoint) / 2 });
      at += roomOf(isWaypoint) + space;
    }
  }
  const toPage = ({ along, across: other }: Point): { x: number; y: number } =>
    direction === 'right' ? { x: MARGIN + along, y: MARGIN + other } : { x: MARGIN + other, y: MARGIN + along };
  const size = direction === 'right' ? [node.along, node.across] : [node.across, node.along];
  const [width = 0, height = 0] = size;
  const boxes = graph.nodes.map(({ id }) => {
    const { along, across: middle } = middles.get(id) ?? { along: 0, across: 0 };
    return { id, ...toPage({ along, across: middle - node.across / 2 }), width, height };
  });
  const ends = endsOf(routes, middles, node.across);
  const lines = routes.map(({ edge, cells }, i): Line => {
    const points = cells.flatMap((id, step) => {
      const { along, across: middle } = middles.get(id) ?? { along: 0, across: 0 };
      if (step === 0) return [{ along: along + node.along, across: ends[i]?.from ?? middle }];
      if (step === cells.length - 1) return [{ along, across: ends[i]?.to ?? middle }];
      return [
        { along, across: middle },
        { along: along + node.along, across: middle },
      ];
    });
    const isAtTarget = (ends[i]?.leave ?? 0) >= (ends[i]?.arrive ?? 0);
    return {
      edge,
      path: pathOf(points.map(toPage), direction),
      label: labelOf(points, isAtTarget, direction, node.across, toPage),
    };
  });
  const along = Math.max(0, layers.length * (node.along + gap) - gap);
  const [w, h] = direction === 'right' ? [along, across] : [across, along];
  return { width: w + 2 * MARGIN, height: h + 2 * MARGIN, boxes, lines };
}

/** On a phone, nodes are as wide as there is room for. */
function sizesFor(layers: Layered['layers'], direction: Direction): Sizes {
  const sizes = SIZES[direction];
  if (direction === 'right') return sizes;
  const { node, space, waypoint } = sizes;
  const widths = layers.map((layer) => {
    const nodes = layer.filter(({ isWaypoint }) => !isWaypoint).length;
    const left = PHONE - (layer.length - 1) * space - (layer.length - nodes) * waypoint;
    return Math.floor(left / Math.max(1, nodes));
  });
  return { ...sizes, node: { ...node, across: Math.max(node.across, Math.min(WIDEST, ...widths)) } };
}

/** Where a line meets a node, across, and how many meet there. */
interface Place {
  readonly at: number;
  readonly meeting: number;
}

/** Where each route leaves and arrives, across: lines that meet at a node are spread over its side, in order. */
function endsOf(
  routes: readonly { readonly cells: readonly string[] }[],
  middles: ReadonlyMap<string, Point>,
  side: number,
): { from: number; to: number; leave: number; arrive: number }[] {
  const acrossOf = (id: string | undefined): number => middles.get(id ?? '')?.across ?? 0;
  const spread = (end: (cells: readonly string[]) => readonly [string | undefined, string | undefined]): Place[] => {
    const atNode = new Map<string, { route: number; towards: number }[]>();
    for (const [route, { cells }] of routes.entries()) {
      const [id = '', next] = end(cells);
      atNode.set(id, [...(atNode.get(id) ?? []), { route, towards: acrossOf(next) }]);
    }
    const places: Place[] = routes.map(() => ({ at: 0, meeting: 0 }));
    for (const [id, meeting] of atNode) {
      meeting.sort((one, other) => one.towards - other.towards || one.route - other.route);
      for (const [i, { route }] of meeting.entries())
        places[route] = { at: acrossOf(id) + side * ((i + 1) / (meeting.length + 1) - 0.5), meeting: meeting.length };
    }
    return places;
  };
  const leaving = spread((cells) => [cells[0], cells[1]]);
  const arriving = spread((cells) => [cells.at(-1), cells.at(-2)]);
  return routes.map((_, i) => ({
    ...{ from: leaving[i]?.at ?? 0, leave: leaving[i]?.meeting ?? 0 },
    ...{ to: arriving[i]?.at ?? 0, arrive: arriving[i]?.meeting ?? 0 },
  }));
}

/** Straight through the layers, curved between them. */
function pathOf(points: readonly { readonly x: number; readonly y: number }[], direction: Direction): string {
  return points
    .map(({ x, y }, i) => {
      const last = points[i - 1];
      if (last === undefined) return `M${x} ${y}`;
      // Each second stretch lies beside the nodes of a layer.
      if (i % 2 === 0) return `L${x} ${y}`;
      const half = direction === 'right' ? (x - last.x) / 2 : (y - last.y) / 2;
      return direction === 'right'
        ? `C${last.x + half} ${last.y} ${x - half} ${y} ${x} ${y}`
        : `C${last.x} ${last.y + half} ${x} ${y - half} ${x} ${y}`;
    })
    .join('');
}

function labelOf(
  points: readonly Point[],
  isAtTarget: boolean,
  direction: Direction,
  across: number,
  toPage: (point: Point) => { x: number; y: number },
): Line['label'] {
  const [end, next] = isAtTarget ? [points.at(-1), points.at(-2)] : [points[0], points[1]];
  if (end === undefined || next === undefined) return { x: 0, y: 0, anchor: 'start' };
  const { x, y } = toPage(end);
  if (direction === 'down') {
    const isBeside = across >= ROOMY;
    const down = isAtTarget ? y - TEXT_GAP : y + TEXT_GAP + 8;
    return { x: isBeside ? x + TEXT_GAP : x, y: down, anchor: isBeside ? 'start' : 'middle' };
  }
  // On the side from which the line does not come.
  const beside = next.across < end.across ? BELOW : ABOVE;
  return { x: isAtTarget ? x - TEXT_GAP : x + TEXT_GAP, y: y + beside, anchor: isAtTarget ? 'end' : 'start' };
}
