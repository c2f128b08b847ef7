/** `tspmd stats`: the counters of running processes, once or every few seconds. */
import { renderStats, type SwitchStats } from '../../../bess/stats.js';
import { askStats, findProcesses, hasAnswered, problemsOf } from '../../../observe/control/client.js';
import type { ControlFile } from '../../../observe/control/files.js';
import type { ProcessStats, RunningProcess } from '../../../observe/control/process-info.js';
import { timeText } from '../../../observe/page/browser/model/format.js';
import { print, warn } from '../output/lines.js';
import { pause } from '../output/output-end.js';
import { type Period, periodOf } from './period.js';
import type { PortSnapshot } from './port-snapshot.js';
import { portText } from './port-text.js';

export interface StatsOptions {
  /** Time between two looks, in seconds; without it, one look. */
  readonly watch?: number;
  readonly json?: boolean;
}

/**
 * Prints the counters of the processes that `word` names, or of all. With `watch`, prints rates until a signal ends the
 * command, its output is closed, or none of the processes runs any more. Rejects when no process answers; the message has
 * a line for each.
 */
export async function stats(word: string | undefined, options: StatsOptions): Promise<void> {
  const found = await findProcesses(word);
  // Who has refused the first question is not asked again.
  const answers = await askStats(found.filter(hasAnswered));
  const answered = answers.filter(hasAnswered);
  const problems = [...problemsOf(found), ...problemsOf(answers)];
  if (answered.length === 0) throw new Error(problems.join('\n') || 'the process has ended meanwhile');
  for (const line of problems) warn(line);
  if (options.watch === undefined || options.json) show(answered, options);
  if (options.watch !== undefined) await watch(answered, options.watch, options);
}

type AnsweredStats = ControlFile & { readonly result: ProcessStats };

async function watch(first: readonly AnsweredStats[], seconds: number, options: StatsOptions): Promise<void> {
  const periods = new Map(first.map(({ path, result }) => [path, periodOrNone(result)]));
  const isOneOfSeveral = first.length > 1;
  let left: readonly ControlFile[] = first;
  while (left.length > 0) {
    if (!(await pause(1000 * seconds))) return;
    const answers = await askStats(left);
    for (const line of problemsOf(answers)) warn(line);
    // A process that did not answer is asked again; one that has ended is not.
    left = answers;
    const answered = answers.filter(hasAnswered);
    if (options.json) show(answered, options);
    else for (const { path, result } of answered) showPeriod(result, periods.get(path), isOneOfSeveral);
  }
}

/** Counters that are not what is expected have no rates. */
function periodOrNone(result: ProcessStats): Period | undefined {
  try {
    return periodOf(result);
  } catch {
    return undefined;
  }
}

function showPeriod(result: ProcessStats, period: Period | undefined, isOneOfSeveral: boolean): void {
  const { process } = result;
  if (isOneOfSeveral) print(titleOf(process));
  print(orUnknown(process, () => period?.next(result).join('\n')));
}

function show(results: readonly AnsweredStats[], options: StatsOptions): void {
  for (const { result } of results) {
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    else print(textOf(result));
  }
}

const titleOf = ({ kind, pid, name, uptime }: RunningProcess): string =>
  `${kind} ${pid} (${name}), up ${timeText(uptime)}:`;

function textOf({ process, port, switch: bess }: ProcessStats): string {
  const counters = (): string =>
    port === undefined ? renderStats(bess as SwitchStats) : portText(port as PortSnapshot);
  return orUnknown(process, () => `${titleOf(process)}\n${counters()}`);
}

/** Returns the text of counters. Those of another version, or of a process that lies, may not be what is expected. */
function orUnknown({ kind, pid, version }: RunningProcess, text: () => string | undefined): string {
  const unknown = `${kind} ${pid} is of tspmd ${version}, and has counters that this version does not know; --json shows them`;
  try {
    return text() ?? unknown;
  } catch {
    return unknown;
  }
}
