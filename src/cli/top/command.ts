/** `tspmd top`: a live view of running processes, full-screen on a terminal, otherwise as lines. */
import type { TopSort } from '../arguments.js';
import { outputRead, print } from '../output/lines.js';
import { pause } from '../output/output-end.js';
import { Live } from './live.js';
import { describe, processSection, type Section, sectionsOf } from './sections.js';
import { isFullTerminal } from './terminal.js';
import { plain, span } from './text.js';
import { ORDER_OF } from './traffic-tables.js';
import { firstView, type View } from './view.js';
import { type Watched, Watcher } from './watcher.js';

export interface TopOptions {
  /** Time between two looks, in seconds. */
  readonly interval: number;
  /** The column that rows are sorted by, in each section that has it. */
  readonly sort?: TopSort;
  /** Lines instead of a full screen, also on a terminal. */
  readonly lines?: boolean;
  /** How many blocks of lines are printed. */
  readonly count?: number;
}

/** The width of lines where there is no terminal. */
const LINE_WIDTH = 160;
const INDENT = 4;
/** The most rows of a section in a block of lines. */
const MAX_ROWS = 10;

/** Shows the processes that `word` names, or all. Rejects when there is none. */
export async function top(word: string | undefined, options: TopOptions): Promise<void> {
  if (options.lines || options.count !== undefined || !isFullTerminal()) await printBlocks(word, options);
  else await fillScreen(word, options);
}

async function fillScreen(word: string | undefined, { interval, sort }: TopOptions): Promise<void> {
  let live: Live | undefined;
  const watcher = new Watcher(word, interval, () => live?.changed());
  await watcher.begin();
  live = new Live(watcher, interval, sort);
  const signal = await live.run();
  if (signal === null) return;
  // Whoever waits for this process sees by which signal it has ended.
  await outputRead();
  process.kill(process.pid, signal);
  await new Promise(() => {});
}

/** Prints a block of lines per interval, until the output is closed, or no process is left. */
async function printBlocks(word: string | undefined, { interval, sort, count = Infinity }: TopOptions): Promise<void> {
  const watcher = new Watcher(word, interval);
  await watcher.begin();
  const view = firstView(null, sort);
  const order = ORDER_OF[view.sorts.connections?.column ?? ''] ?? 'bytes';
  const interest = { isWanted: () => true, withTraffic: true, order };
  // Rates need two readings.
  await watcher.tick(interest);
  for (let block = 0; block < count; block++) {
    if (!(await pause(1000 * interval))) return;
    await watcher.tick(interest);
    print(blockOf(watcher.processes, view));
    watcher.forget(null);
    if (watcher.processes.length === 0) return;
  }
}

function blockOf(processes: readonly Watched[], view: View): string {
  const lines = processes.length > 1 ? [...sectionLines(processSection(processes), view), ''] : [];
  for (const watched of processes) {
    const [name, ...facts] = describe(watched);
    lines.push(`${name}  ${facts.join('  ')}`);
    if (watched.problem !== null) lines.push(`  ${watched.problem}`);
    for (const { port } of watched.rates?.ports ?? [])
      if (port.problem !== null) lines.push(`  port ${port.name}: ${port.problem}`);
    if (!watched.hasEnded) for (const section of sectionsOf(watched, null)) lines.push(...sectionLines(section, view));
    lines.push('');
  }
  return lines.join('\n');
}

function sectionLines(section: Section, view: View): string[] {
  const { title, note, empty, name } = section;
  const { head, rows } = section.layOut(view.sorts[name], (process.stdout.columns ?? LINE_WIDTH) - INDENT);
  if (rows.length === 0) return [`  ${title}: ${empty}`];
  const more = rows.length > MAX_ROWS ? `first ${MAX_ROWS} of ${rows.length}` : '';
  const notes = [note, more].filter((text) => text !== '').join(', ');
  const indented = [head, ...rows.slice(0, MAX_ROWS).map(({ line }) => line)].map(({ spans }) =>
    plain({ spans: [span(' '.repeat(INDENT)), ...spans] }),
  );
  return [`  ${title}${notes === '' ? '' : ` (${notes})`}`, ...indented];
}
