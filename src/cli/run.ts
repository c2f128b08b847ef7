/** `tspmd run`: the node entrypoint. Drives a device, runs a stack on it, and says `ready` when packets can flow. */

import { formatMac, init, type Port, type StackTotals } from '../index.js';
import { counterLines } from './counter-lines.js';
import { type DeviceOptions, deviceConfig } from './device-options.js';
import { faultOf, openingFault, stackOf } from './faults.js';
import { dropsOf, RatePrinter } from './rates.js';
import { ArpWatch } from './reach.js';
import { unlessStopped, untilStopped } from './shutdown.js';

export interface RunCommandOptions extends DeviceOptions {
  mode: 'single' | '1kb' | '2kb';
  cores?: number[];
  app: string;
  appOption?: Record<string, string>;
  idle: 'adaptive' | 'spin';
  rssKey?: string;
  symmetric: boolean;
  onCoreFailure: 'redistribute' | 'stop';
  coreBurst?: number;
  statsPeriod?: number;
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const complain = (line: string): void => void process.stderr.write(`tspmd: ${line}\n`);

export async function run(options: RunCommandOptions): Promise<void> {
  const { mode, idle, app, cores, appOption, onCoreFailure, coreBurst, rssKey, symmetric } = options;
  // Whoever waits for the ready line, or sees that no backend comes, may stop us at once: a signal ends things in good order.
  const end = Promise.race([untilStopped(), firstUncaught()]);
  const ended = end.catch(() => {});
  const port = await unlessStopped(ended, (signal) =>
    init(
      {
        ...deviceConfig(options),
        ...{ mode, idle, app, onCoreFailure },
        rss: { ...(rssKey === undefined ? {} : { key: rssKey }), symmetric },
        ...(cores === undefined ? {} : { cores }),
        ...(appOption === undefined ? {} : { appOptions: appOption }),
        ...(coreBurst === undefined ? {} : { coreBurst }),
      },
      { signal },
    ),
  ).catch((error: unknown) => {
    throw openingFault(app, error);
  });
  try {
    if (port === null) return await end;
    const totals = await drive(port, options, end);
    // First: stopping sends the last burst, which counts.
    await port.stop();
    summarise(port, totals, app);
  } catch (error) {
    throw new Error(faultOf(app, error), { cause: error });
  } finally {
    await port?.stop();
  }
}

/**
 * Rejects with what the stack throws outside of its poll, in a timer or a promise, from when its file is loaded. The port must be stopped all the same;
 * what follows the first is but a consequence.
 */
function firstUncaught(): Promise<never> {
  return new Promise((_, reject) => process.on('uncaughtException', reject));
}

/** @param end resolves when the loop is to end, rejects with what else than the loop has gone wrong */
async function drive(
  port: Port,
  options: RunCommandOptions,
  end: Promise<void>,
): Promise<readonly (StackTotals | undefined)[]> {
  port.on('link', (state, reason) => complain(`link ${state}: ${reason}`));
  port.on('coreFailure', (core, error) => {
    complain(`${faultOf(options.app, error)}; the other cores take the flows of core ${core} over`);
    if (options.verbose) process.stderr.write(`${stackOf(error)}\n`);
  });

  const printCounters = (): void => say(counterLines(port.counters()).join('\n'));
  // Until then the signal opens Node's debugger.
  process.on('SIGUSR1', printCounters);
  const rates = options.statsPeriod === undefined ? null : new RatePrinter(port, options.statsPeriod, say);
  const arp = new ArpWatch(port, complain);
  const stop = new AbortController();
  const ended = end.finally(() => stop.abort());
  // Last: whoever waits for this line may send signals from now on.
  say(`ready: ${options.ip} at ${formatMac(port.mac)} on ${port.name}, mode ${options.mode}, app ${options.app}`);
  try {
    const totals = await port.run(stop.signal);
    await ended;
    return totals;
  } finally {
    arp.stop();
    rates?.stop();
  }
}

function summarise(port: Port, totals: readonly (StackTotals | undefined)[], app: string): void {
  const counters = port.counters();
  say(`stopped: received ${counters.rx_frames} frames, sent ${counters.tx_packets}; dropped ${dropsOf(counters)}`);
  totals.forEach((report, core) => {
    if (report === undefined) return;
    const who = totals.length === 1 ? app : `${app} on core ${core}`;
    const shown = Object.entries(report).map(([name, value]) => `${name} ${value}`);
    say(`${who}: ${shown.join(', ')}`);
  });
}
