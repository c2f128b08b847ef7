/** `tspmd run`: opens a device, runs an app on it, and prints a line that begins with `ready` when packets can flow. */

import { formatMac, init, type Port, type StackTotals } from '../index.js';
import { firstUncaught } from '../link/run-loop.js';
import { type DeviceOptions, deviceConfig } from './device-options.js';
import { ObservedPort, type ObserveOptions, showMetrics } from './observe/observed-port.js';
import { ArpWatch } from './output/arp-watch.js';
import { counterLines } from './output/counter-lines.js';
import { faultOf, openingFault, traceOf } from './output/error-lines.js';
import { addressText, showLease } from './output/lease-lines.js';
import { neverWaitForTerminal, print, printTrace, warn } from './output/lines.js';
import { limitedLinkLines } from './output/link-lines.js';
import { showOffloads } from './output/offload-lines.js';
import { dropsOf, RatePrinter } from './output/rates.js';
import { unlessStopped, untilStopped } from './shutdown.js';

export interface RunCommandOptions extends DeviceOptions, ObserveOptions {
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

export async function run(options: RunCommandOptions): Promise<void> {
  const { mode, idle, app, cores, appOption, onCoreFailure, coreBurst, rssKey, symmetric } = options;
  // Before `init`, so that a signal ends the command in good order even while it waits for a backend.
  neverWaitForTerminal();
  // An error that the app throws in a timer or a promise ends the command, too: the port must be stopped even then.
  const end = Promise.race([untilStopped(), firstUncaught()]);
  const ended = end.catch(() => {});
  const { device } = options;
  const observed = new ObservedPort({ kind: 'run', mode, file: app, device }, options);
  const config = {
    ...deviceConfig(options),
    ...{ mode, idle, app, onCoreFailure },
    rss: { ...(rssKey === undefined ? {} : { key: rssKey }), symmetric },
    ...(cores === undefined ? {} : { cores }),
    ...(appOption === undefined ? {} : { appOptions: appOption }),
    ...(coreBurst === undefined ? {} : { coreBurst }),
  };
  await observed.served();
  const port = await unlessStopped(ended, (signal) => init(config, { signal })).catch(async (error: unknown) => {
    await observed.close();
    throw openingFault(app, error);
  });
  try {
    if (port === null) return await end;
    const totals = await drive(port, options, observed, end);
    // Stop first: that sends the last burst, which the counters must include.
    await port.stop();
    summarise(port, totals, app);
  } catch (error) {
    throw new Error(faultOf(app, error), { cause: error });
  } finally {
    await port?.stop();
    await observed.close();
  }
}

/** An app with more totals than this, such as one with a TCP/IP stack, shows only those that are not 0. */
const MANY_TOTALS = 16;

/**
 * Runs the app until the end.
 * @param end resolves when the command was told to stop; rejects with an error that came from outside of the loop
 */
async function drive(
  port: Port,
  options: RunCommandOptions,
  observed: ObservedPort,
  end: Promise<void>,
): Promise<readonly (StackTotals | undefined)[]> {
  port.on('link', limitedLinkLines());
  port.on('coreFailure', (core, error) => {
    warn(`${faultOf(options.app, error)}; the flows of core ${core} move to the other cores`);
    if (options.verbose) printTrace(traceOf(error));
  });

  const printCounters = (): void => print(counterLines(port.counters()).join('\n'));
  // Without a listener, Node opens its debugger at this signal.
  process.on('SIGUSR1', printCounters);
  const rates = options.statsPeriod === undefined ? null : new RatePrinter(port, options.statsPeriod, print);
  const arp = new ArpWatch(port, warn);
  const stop = new AbortController();
  const ended = end.finally(() => stop.abort());
  // Before anything is waited for: a stack may fail at once, and whoever runs the port hears of it.
  const running = port.run(stop.signal);
  try {
    await Promise.race([observed.ready(port), running.catch(() => {})]);
    showMetrics(observed, options, print);
    showOffloads(port, print);
    showLease(port, print);
    // Last, because a script may send signals as soon as it sees this line.
    const place = `${addressText(port)} at ${formatMac(port.mac)} on ${port.name}`;
    print(`ready: ${place}, mode ${options.mode}, app ${options.app}`);
    const totals = await running;
    await ended;
    return totals;
  } finally {
    arp.stop();
    rates?.stop();
  }
}

function summarise(port: Port, totals: readonly (StackTotals | undefined)[], app: string): void {
  const counters = port.counters();
  print(`stopped: received ${counters.rx_frames} frames, sent ${counters.tx_packets}; dropped ${dropsOf(counters)}`);
  totals.forEach((report, core) => {
    if (report === undefined) return;
    const who = totals.length === 1 ? app : `${app} on core ${core}`;
    const all = Object.entries(report);
    const shown = all.length > MANY_TOTALS ? all.filter(([, value]) => value !== 0) : all;
    print(`${who}: ${shown.map(([name, value]) => `${name} ${value}`).join(', ') || 'all counters are 0'}`);
  });
}
