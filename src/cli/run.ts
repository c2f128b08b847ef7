/** `tspmd run`: the node entrypoint. Drives a device, runs a stack on it, and says `ready` when packets can flow. */

import { loadApp } from '../apps/index.js';
import { formatMac, init, type Port, runStack } from '../index.js';
import { createStack, type Stack, type StackModule } from '../stack.js';
import { counterLines } from './counter-lines.js';
import { type DeviceOptions, deviceConfig } from './device-options.js';
import { faultOf } from './faults.js';
import { dropsOf, RatePrinter } from './rates.js';
import { untilStopped } from './shutdown.js';

export interface RunCommandOptions extends DeviceOptions {
  mode: 'single' | '1kb' | '2kb';
  cores?: number[];
  app: string;
  appOption?: Record<string, string>;
  idle: 'adaptive' | 'spin';
  statsPeriod?: number;
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

export async function run(options: RunCommandOptions): Promise<void> {
  const module = await loadApp(options.app);
  const port = await init({
    ...deviceConfig(options),
    mode: options.mode,
    idle: options.idle,
    layer: module.layer ?? 'ip',
    ...(options.cores === undefined ? {} : { cores: options.cores }),
  });
  // Whoever waits for the ready line may stop us at once: from here on a signal ends things in good order.
  const told = untilStopped();
  const thrown = firstUncaught();
  try {
    const stack = await drive(port, module, options, Promise.race([told, thrown]));
    // First: stopping sends the last burst, which counts.
    await port.stop();
    summarise(port, stack, options.app);
  } catch (error) {
    throw new Error(faultOf(options.app, error), { cause: error });
  } finally {
    await port.stop();
  }
}

/**
 * Rejects with what the stack throws outside of its poll, in a timer or a promise. The port must be stopped all the same;
 * what follows the first is but a consequence.
 */
function firstUncaught(): Promise<never> {
  return new Promise((_, reject) => process.on('uncaughtException', reject));
}

/** @param end resolves when the loop is to end, rejects with what else than the loop has gone wrong */
async function drive(port: Port, module: StackModule, options: RunCommandOptions, end: Promise<void>): Promise<Stack> {
  const { device } = port;
  port.onLink = (state, reason) => process.stderr.write(`tspmd: link ${state}: ${reason}\n`);

  const core = port.core(0);
  const stack = createStack(options.app, module, core, options.appOption ?? {});
  const printCounters = (): void => say(counterLines(port.counters()).join('\n'));
  // Until then the signal opens Node's debugger.
  process.on('SIGUSR1', printCounters);
  const rates = options.statsPeriod === undefined ? null : new RatePrinter(port, options.statsPeriod, say);
  const stop = new AbortController();
  const ended = end.finally(() => stop.abort());
  // Last: whoever waits for this line may send signals from now on.
  say(`ready: ${options.ip} at ${formatMac(device.mac)} on ${device.name}, mode ${options.mode}, app ${options.app}`);
  try {
    await runStack(core, stack, { signal: stop.signal });
    await ended;
  } finally {
    rates?.stop();
  }
  return stack;
}

function summarise(port: Port, stack: Stack, app: string): void {
  const counters = port.counters();
  say(`stopped: received ${counters.rx_frames} frames, sent ${counters.tx_packets}; dropped ${dropsOf(counters)}`);
  const report = stack.report?.();
  if (report)
    say(
      `${app}: ${Object.entries(report)
        .map(([name, value]) => `${name} ${value}`)
        .join(', ')}`,
    );
}
