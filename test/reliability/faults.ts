/**
 * `npm run faults -- [VICTIM…] [--mode MODE] [--kills N] [--seed S]`: kills the switch, an endpoint, DPDK's backend, a guest,
 * each N times; and `isolation`, which measures what hostile neighbours on the switch cost the others.
 *
 * Exit codes: 0 nothing was wrong, 1 a violation (a line each) or an error, 2 wrong usage.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { ALL_MODES, type Mode } from '../support/threads/modes.js';
import type { CampaignResult } from './campaign.js';
import { measureIsolation } from './isolation.js';
import { counted, spread, thousands } from './report.js';
import { VICTIMS } from './victims.js';

interface Options {
  kills: number;
  seed: number;
  mode?: Mode;
}

const ISOLATION = 'isolation';
const NAMES = [...Object.keys(VICTIMS), ISOLATION];

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function positive(text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new InvalidArgumentError('It must be a whole number above 0.');
}

function summaryOf(result: CampaignResult, mode: Mode | undefined): string {
  const { victim, kills, answered, lost, recoveryMs, violations } = result;
  const { median, max } = spread(recoveryMs);
  return (
    `${victim}${mode === undefined ? '' : `, mode ${mode}`}: ${counted(kills, 'kill')} (SIGKILL), ${thousands(answered)} requests answered, ${thousands(lost)} lost while it was away; ` +
    `traffic was back ${Math.round(median)} ms after the ready line, at worst ${Math.round(max)} ms; ${counted(violations.length, 'violation')}`
  );
}

async function campaign(name: keyof typeof VICTIMS, options: Options, stop: AbortSignal): Promise<boolean> {
  const missing = VICTIMS[name].missing();
  if (missing !== null) {
    say(`${name}: not killed: ${missing}`);
    return true;
  }
  const result = await VICTIMS[name].run({ ...options, stop, tell: say });
  for (const line of result.violations) say(`${name}: VIOLATION: ${line}`);
  say(summaryOf(result, options.mode));
  return result.violations.length === 0;
}

async function faults(names: readonly string[], options: Options, command: Command): Promise<void> {
  const unknown = names.find((name) => !NAMES.includes(name));
  if (unknown !== undefined) command.error(`faults: no '${unknown}'; there are: ${NAMES.join(', ')}`);
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort());
  for (const name of names.length === 0 ? NAMES : names) {
    if (stop.signal.aborted) break;
    const isGood =
      name === ISOLATION
        ? await measureIsolation(say, stop.signal)
        : await campaign(name as keyof typeof VICTIMS, options, stop.signal);
    if (!isGood) process.exitCode = 1;
  }
}

try {
  await new Command('npm run faults --')
    .description('kills one party, again and again, and looks whether the others mind')
    .argument('[who...]', `${NAMES.join(', ')}; all of them where none is named`)
    .option('--kills <n>', 'how often each is killed', positive, 100)
    .addOption(new Option('--mode <mode>', 'thread layout of all endpoints; default: a mixture').choices(ALL_MODES))
    .option('--seed <n>', 'what chance begins with', positive, 1)
    .exitOverride()
    .action(faults)
    .parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.stderr.write(`faults: ${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
