/**
 * Finds running processes and asks each for its counters, again and again. One that hangs delays nobody else. A process
 * that has ended is followed by the next one of its kind and name.
 */

import { askStats, findProcesses, hasAnswered, listProcesses } from '../../../observe/control/client.js';
import type { ConnectionsArgs } from '../../../observe/control/commands.js';
import type { ControlFile } from '../../../observe/control/files.js';
import { isNamed, type ProcessStats, type RunningProcess } from '../../../observe/control/process-info.js';
import { History, type Rates } from './history.js';
import { cleanProcess, readingOf } from './reading.js';
import { clean } from './text.js';
import { askConnections, askFlows, type Connection, type Flow, type Told } from './traffic.js';

/** A process as it is shown. */
export interface Watched {
  /** Tells it from all others, also from one before it with the same name. */
  readonly key: string;
  readonly file: ControlFile;
  readonly about: RunningProcess;
  readonly rates: Rates | null;
  /** How many values its series have per minute. */
  readonly slots: number;
  /** Why its counters are old or missing. */
  readonly problem: string | null;
  readonly hasEnded: boolean;
  /** In which look for processes it was found. */
  readonly since: number;
  readonly flows: Told<Flow> | null;
  /** Null for a switch, which has none. */
  readonly connections: Told<Connection> | null;
}

/** Which processes are asked, and what for. */
export interface Interest {
  readonly isWanted: (key: string) => boolean;
  /** Whether flows and connections are asked for, too. */
  readonly withTraffic: boolean;
  readonly order: ConnectionsArgs['sort'];
}

/** The most processes that are watched at a time. */
const MAX_WATCHED = 64;

const keyOf = ({ path }: ControlFile): string => path;
const titleOf = ({ kind, pid, name }: RunningProcess): string => `${kind} ${pid} (${name})`;

export class Watcher {
  private readonly all = new Map<string, Watched>();
  private readonly histories = new Map<string, History>();
  private readonly asked = new Set<string>();
  private isLooking = false;
  private looks = 0;
  /** The last thing that happened: a process has come or gone, or cannot be asked. */
  news: string | null = null;

  /**
   * @param word which processes; undefined: all
   * @param interval between two questions, in seconds
   * @param onChange is called when there is something new to show
   * @param folders of control sockets; default: those of this machine
   */
  constructor(
    private readonly word: string | undefined,
    private readonly interval: number,
    private readonly onChange: () => void = () => {},
    private readonly folders?: readonly string[],
  ) {}

  /** Finds the first processes. @throws (rejects) when there is none, or none that may be asked */
  async begin(): Promise<void> {
    const found = await findProcesses(this.word, this.folders);
    for (const answer of found) if (hasAnswered(answer)) this.add(answer, answer.result);
    const problems = found.flatMap((answer) => (hasAnswered(answer) ? [] : [answer.problem]));
    if (this.all.size === 0) throw new Error(problems.join('\n'));
    this.news = problems.length === 0 ? null : clean(problems[0]);
  }

  /** The processes, by process id; ended ones stay until {@link forget}. */
  get processes(): readonly Watched[] {
    return [...this.all.values()].sort((one, other) => one.file.pid - other.file.pid);
  }

  /** Looks for processes that have come or gone, and asks those of interest. Resolves when all have answered. */
  async tick(interest: Interest): Promise<void> {
    await Promise.all([this.look(), ...[...this.all.values()].map((process) => this.askOne(process, interest))]);
  }

  /** Removes ended processes, except the one with this key. */
  forget(kept: string | null): void {
    for (const { key, hasEnded } of this.all.values()) {
      if (!hasEnded || key === kept) continue;
      this.all.delete(key);
      this.histories.delete(key);
    }
  }

  /** Returns the process that has taken the place of an ended one: of its kind and name, and found later. */
  successorOf({ about: { kind, name }, since }: Watched): Watched | undefined {
    const isNext = (other: Watched): boolean => other.about.kind === kind && other.about.name === name;
    return this.processes.find((other) => !other.hasEnded && other.since > since && isNext(other));
  }

  private async look(): Promise<void> {
    if (this.isLooking) return;
    this.isLooking = true;
    this.looks++;
    try {
      const before = new Set(this.all.keys());
      const answers = await listProcesses(this.folders);
      for (const answer of answers) {
        before.delete(keyOf(answer));
        if (!hasAnswered(answer)) continue;
        const isWanted = this.word === undefined || isNamed(this.word, answer.result);
        const known = this.all.get(keyOf(answer));
        if (known !== undefined) this.change(known.key, { about: cleanProcess(answer.result), hasEnded: false });
        else if (isWanted) this.add(answer, answer.result);
      }
      for (const key of before) this.end(key);
    } finally {
      this.isLooking = false;
      this.onChange();
    }
  }

  private async askOne(
    { key, file, hasEnded, about }: Watched,
    { isWanted, withTraffic, order }: Interest,
  ): Promise<void> {
    if (hasEnded || !isWanted(key) || this.asked.has(key)) return;
    this.asked.add(key);
    try {
      const traffic = withTraffic
        ? Promise.all([askFlows(file), about.kind === 'switch' ? null : askConnections(file, order)])
        : Promise.resolve([null, null] as const);
      const [[answer], [flows, connections]] = await Promise.all([askStats([file]), traffic]);
      if (answer === undefined) this.end(key);
      else if (hasAnswered(answer)) this.change(key, { ...this.read(key, answer.result), flows, connections });
      else this.change(key, { problem: clean(answer.problem), flows, connections });
    } finally {
      this.asked.delete(key);
      this.onChange();
    }
  }

  private read(key: string, stats: ProcessStats): Partial<Watched> {
    const reading = readingOf(stats);
    const about = cleanProcess(stats.process);
    if (reading === null)
      return { about, problem: `it is of tspmd ${about.version}, and has counters that this version does not know` };
    return { about, rates: this.histories.get(key)?.next(reading) ?? null, problem: null };
  }

  private add(file: ControlFile, about: RunningProcess): void {
    if (this.all.size >= MAX_WATCHED) {
      this.news = `more than ${MAX_WATCHED} processes run; name one: tspmd top NAME`;
      return;
    }
    const { kind, pid, path, owner } = file;
    const history = new History(this.interval);
    const key = keyOf(file);
    this.histories.set(key, history);
    this.all.set(key, {
      ...{ key, file: { kind, pid, path, owner }, about: cleanProcess(about), rates: null, slots: history.slots },
      ...{ problem: null, hasEnded: false, since: this.looks, flows: null, connections: null },
    });
  }

  private change(key: string, what: Partial<Watched>): void {
    const known = this.all.get(key);
    if (known !== undefined) this.all.set(key, { ...known, ...what });
  }

  private end(key: string): void {
    const known = this.all.get(key);
    if (known === undefined || known.hasEnded) return;
    this.news = `${titleOf(known.about)} has ended`;
    this.change(key, { hasEnded: true, problem: null });
  }
}
