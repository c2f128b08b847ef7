/** What `tspmd switch --stats` does: print the counters of switches that run. It needs neither the scripts nor the devices. */
import { LineWriter } from '../drivers/log/line-writer.js';
import { askSwitches } from './ask.js';
import { renderStats } from './stats.js';

export interface PrintStatsOptions {
  /** Which switch; all switches of this user where nothing is said. */
  readonly pid?: number;
  /** As JSON instead of tables: the snapshot of one switch, or an array of `{ pid, stats }` where several answer. */
  readonly json?: boolean;
  /** Gets the counters; stdout where nothing is said. */
  readonly print?: (line: string) => void;
  /** Gets a line for each switch that does not answer; stderr where nothing is said. */
  readonly log?: (line: string) => void;
  /** Where control sockets are looked for. */
  readonly folders?: readonly string[];
}

/** Prints the counters of running switches. Throws, with a line for each switch that was found, where none answers. */
export async function printStats(options: PrintStatsOptions): Promise<void> {
  // JSON is for programs: nothing in it may be changed.
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
