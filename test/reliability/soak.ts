/**
 * `npm run soak -- [--minutes N] [--seed S]`: numbered packets of mixed sizes in many flows through the switch for as long
 * as wanted, in each thread layout for a third of the time. Two endpoints stay, a third comes and goes.
 *
 * `npm run soak -- --tcp`: what TCP allocates and keeps (`tcp-limits.ts`) instead, and random schedules of two TCP/IP
 * stacks for the rest of the time, a third of it at least (`tcp-soak.ts`).
 *
 * Exit codes: 0 nothing was wrong, 1 a violation (a line each) or an error, 2 wrong usage.
 */
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { counted, thousands } from './report.js';
import { SoakRun } from './soak-run.js';
import { runTcpSoak } from './tcp-soak.js';

function positive(text: string): number {
  const number = Number(text);
  if (number > 0) return number;
  throw new InvalidArgumentError('It must be a number above 0.');
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function soak({ minutes, seed, tcp }: { minutes: number; seed: number; tcp?: true }): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort());
  const options = { ms: minutes * 60_000, seed, tell: say, stop: stop.signal };
  if (tcp === true) {
    const { violations, summary } = await runTcpSoak(options);
    for (const line of violations) say(`soak: VIOLATION: ${line}`);
    say(summary);
    if (violations.length > 0) process.exitCode = 1;
    return;
  }
  const result = await new SoakRun(options).run();
  for (const line of result.violations) say(`soak: VIOLATION: ${line}`);
  const { ms, answered, lost, kills, terms, memory, violations } = result;
  say(
    `soak: ${(ms / 60_000).toFixed(1)} minutes, modes single, 1kb and 2kb: ${thousands(answered)} requests answered, every byte ` +
      `checked; none lost between parties that were there, ${thousands(lost)} around ${counted(kills, 'SIGKILL')} and ` +
      `${counted(terms, 'SIGTERM')} of an endpoint; ${memory}; ${counted(violations.length, 'violation')}`,
  );
  if (violations.length > 0) process.exitCode = 1;
}

try {
  await new Command('npm run soak --')
    .description('checked traffic for a long time, while endpoints come and go')
    .option('--minutes <n>', 'how long', positive, 30)
    .option('--seed <n>', 'what chance begins with', positive, 1)
    .option('--tcp', 'what TCP allocates and keeps, then random schedules of two TCP/IP stacks')
    .exitOverride()
    .action(soak)
    .parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.stderr.write(`soak: ${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
