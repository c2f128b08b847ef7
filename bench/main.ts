/**
 * `npm run bench -- NAME`: compares tspmd with the programs that people would use otherwise.
 *
 * Exit codes: 0 it was measured, with any figures; 1 it could not be measured, and one line on stderr tells why; 2
 * wrong usage.
 */
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { watchOutput } from '../src/cli/output/output-end.js';
import { untilStopped } from '../src/cli/shutdown.js';
import type { Benchmark, Plan } from './common/benchmark.js';
import { driver } from './driver/benchmark.js';
import { gc } from './gc/benchmark.js';
import { http } from './http/benchmark.js';
import { kernel } from './kernel/benchmark.js';
import { latency } from './latency/benchmark.js';
import { lines } from './lines/benchmark.js';
import { observe } from './observe/benchmark.js';
import { offload } from './offload/benchmark.js';
import { pipeline } from './pipeline/benchmark.js';
import { machineFacts } from './report/machine.js';
import type { Report, Reports } from './report/report.js';
import { render } from './report/table.js';
import { rings } from './rings/benchmark.js';
import { rss } from './rss/benchmark.js';
import { measurable, measureAll } from './suite.js';
import { switching } from './switch/benchmark.js';
import { tcp } from './tcp/benchmark.js';
import { tcpVm } from './tcp-vm/benchmark.js';
import { vm } from './vm/benchmark.js';

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  lines,
  rings,
  rss,
  driver,
  pipeline,
  switch: switching,
  latency,
  kernel,
  tcp,
  http,
  offload,
  observe,
  gc,
  vm,
  'tcp-vm': tcpVm,
};
/** `all` does not run these benchmarks, because they take minutes in guests. */
const NOT_IN_ALL: readonly string[] = ['vm', 'tcp-vm'];
/** Former names of benchmarks. */
const RENAMED: Readonly<Record<string, string>> = { soak: 'gc', exec: 'http' };

interface Options {
  quick?: boolean;
  json?: boolean;
  rows?: RegExp;
  report?: string;
}

const tell = (line: string): void => void process.stderr.write(`${line}\n`);

function regularExpression(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

async function bench(name: string, { quick, json, rows: filter, report: folder }: Options, command: Command) {
  const stop = new AbortController();
  const lost = (row: string, why: string): void => tell(`not measured: ${row}: ${why}`);
  const plan: Plan = { isQuick: quick ?? false, progress: tell, lost, stop: stop.signal };
  const run = prepare(name, filter, plan, command);
  void untilStopped().then(() => stop.abort(new Error('stopped before the end')));
  const done = await run();
  const reports = 'reports' in done ? done.reports : [done];
  process.stdout.write(json ? `${JSON.stringify(done)}\n` : reports.map(render).join('\n'));
  if ('notMeasured' in done) {
    for (const [what, why] of Object.entries(done.notMeasured)) tell(`not measured: ${what}: ${why}`);
  }
  // Last, because the figures must be printed even when the pages cannot be written.
  if (folder !== undefined) await writeReport(folder, done);
}

async function writeReport(folder: string, done: Report | Reports): Promise<void> {
  // Imported on demand, because only plots need the library.
  const { writePages } = await import('./report/pages.js');
  try {
    for (const file of writePages(folder, done)) tell(`written: ${file}`);
  } catch (error) {
    throw new Error(`the report cannot be written: ${(error as Error).message}`, { cause: error });
  }
}

type Run = () => Promise<Report | Reports>;

/** Checks the arguments before anything runs. */
function prepare(name: string, filter: RegExp | undefined, plan: Plan, command: Command): Run {
  if (name === 'all') {
    const benchmarks = Object.entries(BENCHMARKS).filter(([each]) => !NOT_IN_ALL.includes(each));
    return () => measureAll(benchmarks, filter, plan, machineFacts());
  }
  const benchmark = Object.hasOwn(BENCHMARKS, name) ? BENCHMARKS[name] : undefined;
  if (benchmark === undefined) {
    const renamed = Object.hasOwn(RENAMED, name) ? RENAMED[name] : undefined;
    if (renamed !== undefined) command.error(`bench: the benchmark '${name}' is called '${renamed}' now`);
    command.error(`bench: no benchmark '${name}'; there are: ${Object.keys(BENCHMARKS).join(', ')}, all`);
  }
  const names = benchmark.rows.filter((row) => filter?.test(row) ?? true);
  if (names.length === 0) {
    command.error(`bench: --rows ${filter?.source} selects none of: ${benchmark.rows.join(', ')}`);
  }
  const { rows, missing } = measurable(benchmark, names);
  for (const why of missing) {
    if (rows.length === 0) throw new Error(`${name} needs ${[...missing].join(', and ')}`);
    tell(`some rows of ${name} are not measured: they need ${why}`);
  }
  return async () => {
    const machine = machineFacts();
    return { benchmark: name, machine, rows: await benchmark.measure(rows, plan) };
  };
}

const list = Object.entries(BENCHMARKS).map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`);
watchOutput((line) => process.stderr.write(`bench: ${line}\n`));
try {
  await new Command('npm run bench --')
    .description('Compare tspmd with the programs that people would use otherwise.')
    .argument('<name>', 'the benchmark')
    .option('--quick', 'measure few and short windows: they show that it works, not how fast it is')
    .option('--json', 'print only the report, as JSON')
    .option('--rows <regex>', 'measure only rows whose names match', regularExpression)
    .option('--report <dir>', 'also write a Markdown page, SVG plots and the JSON to this folder')
    .addHelpText(
      'after',
      `\nBenchmarks:\n${list.join('\n')}\n  all        all benchmarks except ${NOT_IN_ALL.join(' and ')}`,
    )
    .exitOverride()
    .action(bench)
    .parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.stderr.write(`bench: ${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
