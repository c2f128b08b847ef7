/**
 * `npm run fuzz -- TARGET`: feeds a target with cases until the time is over or one fails.
 *
 * The fuzzing happens in a process of its own, so that one that hangs or dies of a signal is a finding like any other.
 * Exit codes: 0 nothing was found, 1 a finding (printed, and saved as a file) or an error, 2 wrong usage.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { saveFinding } from './corpus.js';
import { Fuzzer } from './engine.js';
import { Feedback } from './feedback.js';
import { createLastCase, readLastCase } from './last-case.js';
import type { FuzzTarget } from './target.js';
import { loadTarget, TARGET_NAMES } from './targets/index.js';

/** A process that has not begun another case for so long hangs. */
const HANG_MS = 20_000;
const LOOK_MS = 1000;
const DEFAULT_SECONDS = 60;

interface Options {
  seconds?: number;
  cases?: number;
  seed: number;
  replay?: string;
  keep?: boolean;
  coverage: boolean;
}

function positive(text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new InvalidArgumentError('It must be a whole number above 0.');
}

/** Runs one saved case in this process, where a debugger can be; true when it is a finding. */
async function replay(target: FuzzTarget, file: string): Promise<boolean> {
  const fuzzer = new Fuzzer(target, { seed: 0, corpus: [], feedback: new Feedback() });
  const finding = await fuzzer.replay(new Uint8Array(readFileSync(file)));
  process.stdout.write(finding === null ? `${target.name}: ${file} passes\n` : `${finding.error.stack}\n`);
  fuzzer.close();
  return finding !== null;
}

/** Starts the process that fuzzes and watches it; true when there is a finding. */
async function watch(target: FuzzTarget, options: Options): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'tspmd-fuzz-'));
  const lastCase = join(folder, 'case');
  createLastCase(lastCase);
  const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
  const { seed, keep, coverage } = options;
  const seconds = options.seconds ?? (options.cases === undefined ? DEFAULT_SECONDS : undefined);
  const child = spawn(
    process.execPath,
    [
      ...(coverage ? ['--import', new URL('./coverage.js', import.meta.url).href] : []),
      file('./runner.js'),
      ...['--target', target.name, '--last-case', lastCase, '--seed', `${seed}`],
      ...(seconds === undefined ? [] : ['--seconds', `${seconds}`]),
      ...(options.cases === undefined ? [] : ['--cases', `${options.cases}`]),
      ...(keep ? ['--keep'] : []),
    ],
    { stdio: 'inherit' },
  );
  // An interrupt goes to both: the child ends by itself, with its report.
  const wait = (): void => {};
  process.on('SIGINT', wait);
  let cases = 0;
  let progressAt = performance.now();
  let hangs = false;
  const look = setInterval(() => {
    const last = readLastCase(lastCase);
    if (last.cases !== cases) progressAt = performance.now();
    cases = last.cases;
    // Before the first case the corpus is read and the code is instrumented.
    if (performance.now() - progressAt < HANG_MS || cases === 0) return;
    hangs = true;
    child.kill('SIGKILL');
  }, LOOK_MS);
  try {
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (...how) => resolve(how));
    });
    if (signal === null) return code !== 0;
    const saved = saveFinding(target.name, readLastCase(lastCase).bytes);
    const what = hangs ? `no other case for ${HANG_MS / 1000} s` : `the process died of ${signal}`;
    process.stdout.write(
      `${target.name}: ${what}; saved, run it alone with: npm run fuzz -- ${target.name} --replay ${saved}\n`,
    );
    return true;
  } finally {
    clearInterval(look);
    process.off('SIGINT', wait);
    rmSync(folder, { recursive: true });
  }
}

async function fuzz(name: string | undefined, options: Options & { list?: boolean }, command: Command): Promise<void> {
  if (options.list) {
    for (const one of TARGET_NAMES) process.stdout.write(`${one.padEnd(18)} ${(await loadTarget(one)).summary}\n`);
    return;
  }
  if (name === undefined || !TARGET_NAMES.includes(name)) {
    command.error(`fuzz: no target '${name ?? ''}'; there are: ${TARGET_NAMES.join(', ')}`);
  }
  const target = await loadTarget(name);
  const found = options.replay === undefined ? await watch(target, options) : await replay(target, options.replay);
  if (found) process.exitCode = 1;
}

try {
  await new Command('npm run fuzz --')
    .description('feeds what parses untrusted input with cases, and looks whether it holds')
    .argument('[target]', 'what to fuzz; --list names them')
    .option('--list', 'the targets, a line each')
    .option('--seconds <n>', `how long; ${DEFAULT_SECONDS} by default`, positive)
    .option('--cases <n>', 'how many cases, instead or at most', positive)
    .option('--seed <n>', 'what chance begins with', positive, 1)
    .option('--replay <file>', 'run one saved case')
    .option('--keep', 'make what was worth keeping the corpus in test/fuzz/corpus')
    .option('--no-coverage', 'without instrumented code: faster, blinder')
    .exitOverride()
    .action(fuzz)
    .parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.stderr.write(`fuzz: ${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
