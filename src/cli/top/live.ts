/** `tspmd top` on a terminal: draws what the watcher knows, and does what the keys say. */
import type { TopSort } from '../arguments.js';
import { outputEnd } from '../output/output-end.js';
import { factsOf, type Picture, screenOf } from './screen.js';
import { Terminal } from './terminal.js';
import { painter } from './text.js';
import { ORDER_OF } from './traffic-tables.js';
import { firstView, press, show, type View } from './view.js';
import type { Interest, Watched, Watcher } from './watcher.js';

export class Live {
  private readonly terminal: Terminal;
  private view: View;
  private shown: readonly Watched[] = [];
  private isDrawing = false;
  private end: (signal: NodeJS.Signals | null) => void = () => {};
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly watcher: Watcher,
    private readonly interval: number,
    sort: TopSort | undefined,
  ) {
    const { processes } = watcher;
    // With one process there is nothing to choose.
    this.view = firstView(processes.length === 1 ? processes[0].key : null, sort);
    this.terminal = new Terminal({
      onKey: (key) => this.press(key),
      onRedraw: () => this.draw(),
      onEnd: (signal) => this.end(signal),
    });
  }

  /** Shows the processes until a key or a signal ends it. Returns the signal. */
  async run(): Promise<NodeJS.Signals | null> {
    const ended = new Promise<NodeJS.Signals | null>((resolve) => {
      this.end = resolve;
    });
    void outputEnd.then(() => this.end(null));
    this.terminal.open();
    try {
      this.timer = setInterval(() => this.tick(), 1000 * this.interval);
      this.tick();
      return await ended;
    } finally {
      clearInterval(this.timer);
      this.terminal.close();
    }
  }

  /** There are new answers. */
  readonly changed = (): void => {
    if (this.isDrawing) return;
    this.isDrawing = true;
    setImmediate(() => {
      this.isDrawing = false;
      this.draw();
    });
  };

  private tick(): void {
    this.watcher.tick(this.interest).catch((error: unknown) => {
      this.watcher.news = String(error);
    });
  }

  /** In the list, the counters of all; otherwise all of one. */
  private get interest(): Interest {
    const { process, sorts } = this.view;
    const order = ORDER_OF[sorts.connections?.column ?? ''] ?? 'bytes';
    return { isWanted: (key) => process === null || key === process, withTraffic: process !== null, order };
  }

  private press(key: string): void {
    const before = this.view;
    this.view = press(before, key, factsOf(this.picture));
    // What is now shown may not have been asked for before.
    if (before.process !== this.view.process || before.sorts !== this.view.sorts) this.tick();
    this.draw();
  }

  private follow(): void {
    const { watcher, view } = this;
    watcher.forget(view.process);
    const watched = watcher.processes.find(({ key }) => key === view.process);
    if (view.process !== null && watched === undefined) this.view = show(view, null);
    const next = watched?.hasEnded ? watcher.successorOf(watched) : undefined;
    if (next === undefined) return;
    this.view = { ...view, process: next.key };
    watcher.forget(next.key);
    this.tick();
  }

  private get picture(): Picture {
    return { processes: this.shown, view: this.view, interval: this.interval, news: this.watcher.news };
  }

  private draw(): void {
    if (!this.view.isPaused) {
      this.follow();
      this.shown = this.watcher.processes;
    }
    const { size } = this.terminal;
    const paint = painter(!process.env.NO_COLOR, size.columns);
    this.terminal.draw(screenOf(this.picture, size).map(paint));
  }
}
