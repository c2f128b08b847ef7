/** Where the nodes and lines of the topology are. */
import { describe, expect, it } from 'vitest';
import { layered } from '../../../../../../observe/page/browser/model/layers.js';
import { type Box, layout } from '../../../../../../observe/page/browser/model/layout.js';
import type { Graph, NodeLook } from '../../../../../../observe/page/browser/model/look.js';

function graph(
  edges: readonly (readonly [string, string])[],
  kinds: Readonly<Record<string, NodeLook['kind']>> = {},
): Graph {
  const ids = [...new Set(edges.flat())];
  return {
    nodes: ids.map((id) => ({
      ...{ id, title: id, detail: '', about: '', kind: kinds[id] ?? 'module', state: 'up', thread: null, dropped: 0 },
    })),
    edges: edges.map(([from, to], i) => ({ from, to, gate: String(i), packets: 0, bytes: 0, hasBytes: true })),
  };
}

/** Four VMs, a table, and a module that copies: the script forward_n.bess. */
const VMS = [0, 1, 2, 3];
const forward = graph(
  [
    ...VMS.map((i) => [`in${i}`, 'fwd'] as const),
    ...VMS.map((i) => ['fwd', `out${i}`] as const),
    ['fwd', 'flood'],
    ...VMS.map((i) => ['flood', `out${i}`] as const),
  ],
  Object.fromEntries(VMS.map((i) => [`out${i}`, 'out' as const])),
);

const overlap = (one: Box, other: Box): boolean =>
  one.x < other.x + other.width &&
  other.x < one.x + one.width &&
  one.y < other.y + other.height &&
  other.y < one.y + one.height;

describe('layers', () => {
  it('lead from the ports that send to those that receive, with waypoints between', () => {
    const { layers, routes } = layered(forward);
    const names = layers.map((layer) => layer.filter(({ isWaypoint }) => !isWaypoint).map(({ id }) => id));
    expect(names).toEqual([['in0', 'in1', 'in2', 'in3'], ['fwd'], ['flood'], ['out0', 'out1', 'out2', 'out3']]);
    expect(layers[2]!.filter(({ isWaypoint }) => isWaypoint)).toHaveLength(4);
    for (const { cells } of routes.slice(4, 8)) expect(cells).toHaveLength(3);
    // The one that copies is in the middle: no line crosses it.
    expect(layers[2]!.map(({ id }) => id).indexOf('flood')).toBe(2);
  });

  it('end for a circle, and for edges that lead nowhere', () => {
    const circle = graph([
      ['a', 'b'],
      ['b', 'c'],
      ['c', 'a'],
    ]);
    expect(
      layered(circle)
        .layers.flat()
        .filter(({ isWaypoint }) => !isWaypoint),
    ).toHaveLength(3);
    const { nodes, edges } = graph([['a', 'b']]);
    expect(layered({ nodes: nodes.slice(0, 1), edges }).routes).toEqual([]);
    expect(layered({ nodes: [], edges: [] }).routes).toEqual([]);
  });
});

describe('the layout', () => {
  it.each(['right', 'down'] as const)('towards the %s has all nodes within it, and none upon another', (direction) => {
    const { boxes, lines, width, height } = layout(forward, direction);
    expect(boxes).toHaveLength(10);
    expect(lines).toHaveLength(forward.edges.length);
    for (const [i, box] of boxes.entries()) {
      expect(Math.min(box.x, box.y)).toBeGreaterThanOrEqual(0);
      expect(box.x + box.width).toBeLessThanOrEqual(width);
      expect(box.y + box.height).toBeLessThanOrEqual(height);
      expect(boxes.slice(i + 1).filter((other) => overlap(box, other))).toEqual([]);
    }
    for (const { path } of lines) expect(path).toMatch(/^M[-\d. ]+(?:[CL][-\d. ]+)+$/);
  });

  it('of four VMs fits a phone', () => {
    expect(layout(forward, 'down').width).toBeLessThanOrEqual(310);
  });

  it('of one core has wide nodes on a phone, with the rates beside the lines', () => {
    const { boxes, lines } = layout(
      graph([
        ['in', 'core'],
        ['core', 'out'],
      ]),
      'down',
    );
    expect(boxes.map(({ width }) => width)).toEqual([150, 150, 150]);
    expect(lines.map(({ label }) => label.anchor)).toEqual(['start', 'start']);
  });

  it('writes the rate where fewest lines meet', () => {
    const { lines } = layout(forward, 'right');
    expect(lines.slice(0, 4).map(({ label }) => label.anchor)).toEqual(Array(4).fill('start'));
    expect(lines.slice(4, 8).map(({ label }) => label.anchor)).toEqual(Array(4).fill('end'));
    expect(new Set(lines.map(({ label }) => `${label.x} ${label.y}`)).size).toBe(lines.length);
  });
});
