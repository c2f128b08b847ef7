/** `tspmd run`: opens a device, runs an app on it, and prints a line that begins with `ready` when packets can flow. */

import { CountersSignal } from '../../drivers/log/counters-signal.js';
import { tellErr, tellOut } from '../../drivers/log/event-log.js';
import { tellServed } from '../../observe/http/address.js';
import { formatMac, init, type Port, type StackTotals } from '../index.js';
import { firstUncaught } from '../link/run-loop.js';
import { type DeviceOptions, deviceConfig } from './device-options.js';
import { ObservedPort, type ObserveOptions } from './observe/observed-port.js';
import { ArpWatch } from './output/arp-watch.js';
import { counterLines } from './output/counter-lines.js';
import { faultOf, openingFault, traceOf } from './output/error-lines.js';
import { addressText, showLease } from './output/lease-lines.js';
import { neverWaitForTerminal, printTrace, warn } from './output/lines.js';
import { limitedLinkLines } from './output/link-lines.js';
import { showOffloads } from './output/offload-lines.js';
import { dropCounts, dropsText, RatePrinter } from './output/rates.js';
import { serviceManager, unlessStopped, untilStopped } from './shutdown.js';

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
  const signal = new CountersSignal();
  // Before `init`, so that a signal ends the command in good order even while it waits for a backend.
  neverWaitForTerminal();
  const service = await serviceManager();
  // An error that the app throws in a timer or a promise ends the command, too: the port must be stopped even then.
  const end = Promise.race([untilStopped(service), firstUncaught()]);
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
  const port = await unlessStopped(ended, (signal) => init(config, { signal, warn })).catch(async (error: unknown) => {
    await observed.close();
    throw openingFault(app, error);
  });
  try {
    if (port === null) return await end;
    const totals = await drive(port, options, observed, end, signal);
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
  signal: CountersSignal,
): Promise<readonly (StackTotals | undefined)[]> {
  port.on('link', limitedLinkLines());
  port.on('coreFailure', (core, error) => {
    const reason = faultOf(options.app, error);
    const line = `${reason}; the flows of core ${core} move to the other cores`;
    tellErr(line, { event: 'core-failure', core, reason });
    if (options.verbose) printTrace(traceOf(error));
  });

  signal.print = () => {
    const counters = port.counters();
    tellOut(counterLines(counters).join('\n'), { event: 'counters', counters });
  };
  const rates = options.statsPeriod === undefined ? null : new RatePrinter(port, options.statsPeriod, tellOut);
  const arp = new ArpWatch(port, tellErr);
  const stop = new AbortController();
  const ended = end.finally(() => stop.abort());
  // Before anything is waited for: a stack may fail at once, and whoever runs the port hears of it.
  const running = port.run(stop.signal);
  try {
    await Promise.race([observed.ready(port), running.catch(() => {})]);
    tellServed(options, observed.servedPort, tellOut);
    showOffloads(port, tellOut);
    showLease(port, tellOut);
    // Last, because a script may send signals as soon as it sees this line.
    tellReady(port, options);
    const totals = await running;
    await ended;
    return totals;
  } finally {
    arp.stop();
    rates?.stop();
  }
}

function tellReady(port: Port, { mode, app }: RunCommandOptions): void {
  const [address, mac, device] = [addressText(port), formatMac(port.mac), port.name];
  const line = `ready: ${address} at ${mac} on ${device}, mode ${mode}, app ${app}`;
  tellOut(line, { event: 'ready', kind: 'run', address, mac, device, mode, app });
}

function summarise(port: Port, totals: readonly (StackTotals | undefined)[], app: string): void {
  const counters = port.counters();
  const { rx_frames: received = 0, tx_packets: sent = 0 } = counters;
  const dropped = dropCounts(counters);
  const line = `stopped: received ${received} frames, sent ${sent}; dropped ${dropsText(dropped)}`;
  tellOut(line, { event: 'stopped', received, sent, dropped });
  totals.forEach((report, core) => {
    if (report === undefined) return;
    const who = totals.length === 1 ? app : `${app} on core ${core}`;
    const all = Object.entries(report);
    const shown = all.length > MANY_TOTALS ? all.filter(([, value]) => value !== 0) : all;
    const values = shown.map(([name, value]) => `${name} ${value}`).join(', ');
    tellOut(`${who}: ${values || 'all counters are 0'}`, { event: 'totals', app, core, totals: report });
  });
}
