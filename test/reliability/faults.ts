/**
 * `npm run faults -- [VICTIM…] [--mode MODE] [--kills N] [--seed S]`: kills the switch, an endpoint, DPDK's backend and a guest,
 * each N times; and `isolation`, which measures what hostile neighbours on the switch cost the others.
 *
 * Exit codes: 0 nothing was wrong, 1 a violation (one line each) or an error, 2 wrong usage.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { ALL_MODES, type Mode } from '../support/threads/modes.js';
import { measureIsolation } from './isolation.js';
import type { CampaignResult } from './kill-campaign.js';
import { counted, spread, thousands } from './report.js';
import { VICTIMS } from './victims.js';

interface Options {
  kills: number;
  seed: number;
  mode?: Mode | typeof MIXED | typeof EACH;
}

const ISOLATION = 'isolation';
const MIXED = 'mixed';
const EACH = 'each';
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

/** The thread layouts of the campaigns, one after the other; undefined: a mixture. Only the switch is killed in all by default. */
function modesOf(name: keyof typeof VICTIMS, wanted: Options['mode']): readonly (Mode | undefined)[] {
  if (wanted === EACH) return ALL_MODES;
  if (wanted === undefined && name === 'switch') return [undefined, ...ALL_MODES];
  return [wanted === MIXED ? undefined : wanted];
}

async function campaigns(name: keyof typeof VICTIMS, options: Options, stop: AbortSignal): Promise<boolean> {
  const missing = VICTIMS[name].missing();
  if (missing !== null) {
    say(`${name}: not killed: ${missing}`);
    return true;
  }
  let isGood = true;
  for (const mode of modesOf(name, options.mode)) {
    if (stop.aborted) break;
    const result = await VICTIMS[name].run({ ...options, mode, stop, tell: say });
    for (const line of result.violations) say(`${name}: VIOLATION: ${line}`);
    say(summaryOf(result, mode));
    if (result.violations.length > 0) isGood = false;
  }
  return isGood;
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
        : await campaigns(name as keyof typeof VICTIMS, options, stop.signal);
    if (!isGood) process.exitCode = 1;
  }
}

try {
  await new Command('npm run faults --')
    .description('kills one process again and again, and checks that the others go on')
    .argument('[victim...]', `${NAMES.join(', ')}; all of them where none is named`)
    .option('--kills <n>', 'how often each is killed', positive, 100)
    .addOption(
      new Option(
        '--mode <mode>',
        `thread layout of all endpoints; ${MIXED}: some of each; ${EACH}: one after the other; default: ${MIXED}, for the switch then ${EACH}`,
      ).choices([...ALL_MODES, MIXED, EACH]),
    )
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
