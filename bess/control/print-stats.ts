/** `tspmd switch --stats`: prints the counters of running switches. */
import { LineWriter } from '../../drivers/log/line-writer.js';
import { renderStats } from '../stats.js';
import { askSwitches } from './client.js';

/** Options of {@link printStats}. */
export interface PrintStatsOptions {
  /** Process id of the switch; by default all switches of this user. */
  readonly pid?: number;
  /** Print JSON instead of tables: the snapshot of one switch, or an array of `{ pid, stats }` if several answer. */
  readonly json?: boolean;
  /** Prints the counters; by default on stdout. */
  readonly print?: (line: string) => void;
  /** Prints a line for each switch that does not answer; by default on stderr. */
  readonly log?: (line: string) => void;
  /** The folders that are searched for control sockets. */
  readonly folders?: readonly string[];
}

/** Prints the counters of running switches. Rejects if none answers; the message has a line for each switch found. */
export async function printStats(options: PrintStatsOptions): Promise<void> {
  // LineWriter may escape or drop text. JSON must reach a program unchanged.
  const write = options.json
    ? (text: string) => process.stdout.write(`${text}\n`)
    : (text: string) => LineWriter.of(process.stdout).text(text);
  const print = options.print ?? write;
  const log = options.log ?? ((line) => LineWriter.of(process.stderr).line(line));
  const answers = await askSwitches(options.pid, options.folders);
  const answered = answers.filter((answer) => 'stats' in answer);
  const problems = answers.flatMap((answer) => ('problem' in answer ? [answer.problem] : []));
  if (answered.length === 0) throw new Error(problems.join('\n'));
  if (options.json) {
    print(JSON.stringify(answered.length === 1 ? answered[0].stats : answered, null, 2));
  } else {
    for (const { pid, stats } of answered) {
      if (answers.length > 1) print(`switch ${pid}:`);
      print(renderStats(stats));
    }
  }
  for (const problem of problems) log(problem);
}
