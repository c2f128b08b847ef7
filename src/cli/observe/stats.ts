/** `tspmd stats`: the counters of running processes, once or every few seconds. */
import { setTimeout as sleep } from 'node:timers/promises';
import { renderStats, type SwitchStats } from '../../../bess/stats.js';
import { askStats, findProcesses, hasAnswered, problemsOf } from '../../../observe/control/client.js';
import type { ControlFile } from '../../../observe/control/files.js';
import type { ProcessStats, RunningProcess } from '../../../observe/control/process-info.js';
import { print, warn } from '../output/lines.js';
import { outputEnd } from '../output/output-end.js';
import { timeText } from './list.js';
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
  const periods = new Map(first.map(({ path, result }) => [path, periodOrNull(result)]));
  let hasReader = true;
  void outputEnd.then(() => {
    hasReader = false;
  });
  let left: readonly ControlFile[] = first;
  while (left.length > 0) {
    await Promise.race([sleep(1000 * seconds), outputEnd]);
    if (!hasReader) return;
    const answers = await askStats(left);
    for (const line of problemsOf(answers)) warn(line);
    // A process that did not answer is asked again; one that has ended is not.
    left = answers;
    const results = answers.filter(hasAnswered);
    if (options.json) show(results, options);
    else for (const result of results) showPeriod(result, periods.get(result.path) ?? null, first.length > 1);
  }
}

/** Returns null when the counters are not what is expected. */
function periodOrNull(result: ProcessStats): Period | null {
  try {
    return periodOf(result);
  } catch {
    return null;
  }
}

function showPeriod({ result }: AnsweredStats, period: Period | null, isOneOfSeveral: boolean): void {
  if (isOneOfSeveral) print(titleOf(result.process));
  try {
    if (period === null) throw new TypeError('no period');
    print(period.next(result).join('\n'));
  } catch {
    print(unknownOf(result.process));
  }
}

function show(results: readonly AnsweredStats[], options: StatsOptions): void {
  for (const { result } of results) {
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    else print(textOf(result));
  }
}

const titleOf = ({ kind, pid, name, uptime }: RunningProcess): string =>
  `${kind} ${pid} (${name}), up ${timeText(uptime)}:`;

/** Returns the counters as text. Those of another version, or of a process that lies, may not be what is expected. */
function textOf({ process, port, switch: bess }: ProcessStats): string {
  try {
    return `${titleOf(process)}\n${port === undefined ? renderStats(bess as SwitchStats) : portText(port as PortSnapshot)}`;
  } catch {
    return unknownOf(process);
  }
}

const unknownOf = ({ kind, pid, version }: RunningProcess): string =>
  `${kind} ${pid} is of tspmd ${version}, and has counters that this version does not know; --json shows them`;
