/**
 * `npm run bench -- NAME`: measures tspmd next to what people would use otherwise.
 *
 * Exit codes: 0 done, whatever the figures; 1 it could not be measured (one line on stderr tells why), 2 wrong usage.
 */
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { untilStopped, watchOutput } from '../src/cli/shutdown.js';
import type { Benchmark } from './benchmark.js';
import { machineFacts } from './machine.js';
import { type Report, render } from './report.js';
import { rss } from './rss/benchmark.js';
import { vm } from './vm/benchmark.js';

const BENCHMARKS: Readonly<Record<string, Benchmark>> = { rss, vm };

interface Options {
  quick?: boolean;
  json?: boolean;
  rows: RegExp;
}

function regularExpression(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

async function bench(name: string, { quick, json, rows: filter }: Options, command: Command): Promise<void> {
  const benchmark = Object.hasOwn(BENCHMARKS, name) ? BENCHMARKS[name]! : undefined;
  if (benchmark === undefined) {
    command.error(`bench: no benchmark '${name}'; there are: ${Object.keys(BENCHMARKS).join(', ')}`);
  }
  const names = benchmark.rows.filter((row) => filter.test(row));
  if (names.length === 0) {
    command.error(`bench: --rows ${filter.source} selects none of: ${benchmark.rows.join(', ')}`);
  }
  const missing = benchmark.missing(names);
  if (missing.length > 0) throw new Error(`${name} needs ${missing.join(', and ')}`);

  const stop = new AbortController();
  void untilStopped().then(() => stop.abort(new Error('stopped before it was done')));
  const machine = machineFacts();
  const rows = await benchmark.measure(names, {
    isQuick: quick ?? false,
    progress: (line) => void process.stderr.write(`${line}\n`),
    stop: stop.signal,
  });
  const report: Report = { benchmark: name, machine, rows };
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : render(report));
}

const list = Object.entries(BENCHMARKS).map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`);
watchOutput('bench');
try {
  await new Command('npm run bench --')
    .description('benchmarks next to the programs that people would use otherwise')
    .argument('<name>', 'which benchmark')
    .option('--quick', 'few and short windows: shows that it works, not how fast')
    .option('--json', 'only the report, as JSON')
    .option('--rows <regex>', 'only the rows whose names match', regularExpression, /^/)
    .addHelpText('after', `\nBenchmarks:\n${list.join('\n')}`)
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
