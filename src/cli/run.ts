/** `tspmd run`: the node entrypoint. Drives a device, runs a stack on it, and says `ready` when packets can flow. */
import { formatMac, init, type Port, runStack } from '../index.js';
import { createStack, type StackModule } from '../stack.js';
import { loadApp } from './apps.js';
import { type DeviceOptions, deviceConfig } from './device-options.js';
import { dropsOf, RatePrinter } from './rates.js';
import { untilSignal } from './shutdown.js';

export interface RunCommandOptions extends DeviceOptions {
  mode: 'single' | '1kb' | '2kb';
  cores?: number[];
  app: string;
  appOption?: Record<string, string>;
  idle: 'adaptive' | 'spin';
  statsPeriod?: number;
}

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
  const signalled = untilSignal();
  try {
    await drive(port, module, options, signalled);
  } finally {
    await port.stop();
  }
}

async function drive(port: Port, module: StackModule, options: RunCommandOptions, signalled: Promise<void>) {
  const { device } = port;
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  if (device.notice !== '') process.stderr.write(`tspmd: ${device.notice}\n`);
  port.onLink = (state, reason) => process.stderr.write(`tspmd: link ${state}: ${reason}\n`);

  const core = port.core(0);
  const stack = createStack(options.app, module, core, options.appOption ?? {});
  say(`ready: ${options.ip} at ${formatMac(device.mac)} on ${device.name}, mode ${options.mode}, app ${options.app}`);

  const rates = options.statsPeriod === undefined ? null : new RatePrinter(port, options.statsPeriod, say);
  const stop = new AbortController();
  void signalled.then(() => stop.abort());
  try {
    await runStack(core, stack, { idle: options.idle, signal: stop.signal });
  } finally {
    rates?.stop();
  }
  const counters = port.counters();
  say(`stopped: received ${counters.rx_frames} frames, sent ${counters.tx_packets}; dropped ${dropsOf(counters)}`);
  const report = stack.report?.();
  if (report)
    say(
      `${options.app}: ${Object.entries(report)
        .map(([name, value]) => `${name} ${value}`)
        .join(', ')}`,
    );
}
