/** The way of the packets as a picture: nodes, lines between them as thick as their rates, and the rates. */
import { percent, pps, short } from '../model/format.js';
import { type Direction, type Layout, layout } from '../model/layout.js';
import type { Graph, NodeLook } from '../model/look.js';
import { edgeKey, type Rates } from '../model/rates.js';
import { draw, make, setAttribute, setText } from './dom.js';

/** Below this width the way leads downwards. */
const NARROW = 620;
/** More nodes than this are not drawn. */
const MOST_NODES = 160;
const LOAD_HEIGHT = 4;

interface DrawnNode {
  readonly group: SVGElement;
  readonly detail: SVGTextElement;
  readonly dropped: SVGTextElement;
  readonly load: SVGElement;
}

interface DrawnEdge {
  readonly path: SVGElement;
  readonly rate: SVGTextElement;
}

export class Topology {
  private readonly nodes = new Map<string, DrawnNode>();
  private edges: DrawnEdge[] = [];
  private drawn = '';
  private place: Layout | null = null;
  private isNarrow = false;

  constructor(private readonly parent: HTMLElement) {
    // It scrolls, where it is wider than the screen.
    parent.tabIndex = 0;
    parent.setAttribute('role', 'region');
    parent.setAttribute('aria-label', 'The way of the packets');
  }

  update(graph: Graph, rates: Rates): void {
    if (graph.nodes.length > MOST_NODES) {
      this.drawn = '';
      this.parent.replaceChildren(make('p', 'none', `${graph.nodes.length} modules are too many for a picture.`));
      return;
    }
    this.isNarrow = this.parent.clientWidth < NARROW;
    const direction: Direction = this.isNarrow ? 'down' : 'right';
    const shape = JSON.stringify([
      direction,
      graph.nodes.map(({ id, title }) => [id, title]),
      graph.edges.map(edgeKey),
    ]);
    if (shape !== this.drawn) {
      this.rebuild(graph, direction);
      this.drawn = shape;
    }
    for (const node of graph.nodes) this.showNode(node, rates);
    for (const [i, line] of (this.place?.lines ?? []).entries()) {
      const edge = graph.edges[line.edge];
      const drawn = this.edges[i];
      if (edge === undefined || drawn === undefined) continue;
      const rate = rates.edges.get(edgeKey(edge))?.packets ?? 0;
      drawn.path.classList.toggle('is-busy', rate > 0);
      setAttribute(drawn.path, 'stroke-width', lineWidth(rate).toFixed(1));
      setText(drawn.rate, rate > 0 ? pps(rate) : '');
    }
  }

  private showNode({ id, detail, state, thread }: NodeLook, rates: Rates): void {
    const drawn = this.nodes.get(id);
    if (drawn === undefined) return;
    const drops = rates.nodes.get(id) ?? 0;
    const busy = thread === null ? null : (rates.threads.get(thread)?.busy ?? null);
    const text = busy === null ? (state === 'down' ? 'down' : detail) : `${detail}, busy ${percent(busy)}`;
    // A narrow node has room for one of the two.
    showFitting(drawn.detail, drops > 0 && this.isNarrow ? '' : text, Number(drawn.load.dataset.width));
    setText(drawn.dropped, drops > 0 ? `▾ ${short(drops)}` : '');
    setAttribute(drawn.group, 'class', `${drawn.group.dataset.kind} is-${state}`);
    const width = Number(drawn.load.dataset.width);
    setAttribute(drawn.load, 'width', (width * Math.min(1, busy ?? 0)).toFixed(1));
  }

  private rebuild(graph: Graph, direction: Direction): void {
    const place = layout(graph, direction);
    this.place = place;
    this.nodes.clear();
    const { width, height } = place;
    const title = draw('title', {}, 'The way of the packets');
    const svg = draw('svg', { width, height, viewBox: `0 0 ${width} ${height}`, role: 'img' }, title);
    svg.setAttribute('aria-label', 'The way of the packets, with their rates; the table below says the same');
    this.edges = place.lines.map(({ path, label }) => ({
      path: draw('path', { d: path, class: 'edge' }),
      rate: draw('text', { class: 'rate', x: label.x, y: label.y, 'text-anchor': label.anchor }),
    }));
    svg.append(...this.edges.map(({ path }) => path));
    const about = new Map(graph.nodes.map((node) => [node.id, node]));
    const names: (() => void)[] = [];
    for (const box of place.boxes) {
      const node = about.get(box.id);
      if (node === undefined) continue;
      const group = draw('g', { transform: `translate(${box.x} ${box.y})` });
      group.dataset.kind = node.kind;
      const name = draw('text', { class: 'title', x: 22, y: 19 });
      names.push(() => showFitting(name, node.title, box.width - 32));
      const detail = draw('text', { class: 'detail', x: 10, y: box.height - 12 });
      const [x, y, anchor] = this.isNarrow ? [10, box.height - 12, 'start'] : [box.width - 8, 19, 'end'];
      const dropped = draw('text', { class: 'dropped', x, y, 'text-anchor': anchor });
      const load = draw('rect', { class: 'load', x: 10, y: box.height - 8, width: 0, height: LOAD_HEIGHT, rx: 2 });
      load.dataset.width = String(box.width - 20);
      group.append(
        draw('title', {}, `${node.title}: ${node.about}`),
        draw('rect', { class: 'box', width: box.width, height: box.height, rx: 7 }),
        draw('circle', { class: 'lamp', cx: 13, cy: 15, r: 3.5 }),
        name,
        ...[detail, dropped],
        ...(node.thread === null
          ? []
          : [
              draw('rect', {
                class: 'track',
                x: 10,
                y: box.height - 8,
                width: box.width - 20,
                height: LOAD_HEIGHT,
                rx: 2,
              }),
            ]),
        load,
      );
      svg.append(group);
      this.nodes.set(box.id, { group, detail, dropped, load });
    }
    // Above everything.
    svg.append(...this.edges.map(({ rate }) => rate));
    this.parent.replaceChildren(svg);
    // Only what is in the document has a length.
    for (const show of names) show();
  }
}

/** Shows as much of a text as there is room for. */
function showFitting(element: SVGTextContentElement, text: string, width: number): void {
  if (element.dataset.text === text) return;
  element.dataset.text = text;
  element.textContent = text;
  let most = Array.from(text).length;
  while (most > 3 && element.getComputedTextLength() > width) element.textContent = shortened(text, --most);
}

/** From 1 for a few packets to 6 for some ten millions per second. */
const lineWidth = (rate: number): number => (rate > 0 ? Math.min(6, 1.5 + Math.log10(1 + rate) * 0.6) : 1);

/** The end of a name says more than its middle. */
export function shortened(text: string, most: number): string {
  const characters = Array.from(text);
  if (characters.length <= most) return text;
  const end = Math.floor((most - 1) / 2);
  return `${characters.slice(0, most - 1 - end).join('')}…${characters.slice(characters.length - end).join('')}`;
}
