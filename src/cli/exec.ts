/** `tspmd exec`: runs a Node program whose sockets use the device, on one core or on several. */
import { tellErr } from '../../drivers/log/event-log.js';
import { tellServed } from '../../observe/http/address.js';
import type { MulticoreConfig } from '../config.js';
import { placeOf } from '../fault-place.js';
import { init, type Port } from '../index.js';
import { announce } from '../node/exec/announcement.js';
import { EXEC_APP } from '../node/exec/app-file.js';
import { beforeDeath, END_SIGNALS, onDefaultSignal } from '../node/exec/default-signals.js';
import { dying, openHere } from '../node/exec/here.js';
import type { ExecOptions } from '../node/exec/options.js';
import type { PortRange } from '../node/exec/ports.js';
import { findProgram, startProgram } from '../node/exec/program.js';
import { liveTotals } from '../stack.js';
import { type DeviceOptions, deviceConfig } from './device-options.js';
import { HangWatch } from './hang/hang-watch.js';
import { ObservedPort, type ObserveOptions } from './observe/observed-port.js';
import { traceOf } from './output/error-lines.js';
import { showLease } from './output/lease-lines.js';
import { printTrace, warn } from './output/lines.js';
import { limitedLinkLines } from './output/link-lines.js';
import { showOffloads } from './output/offload-lines.js';
import { unwatchOutput } from './output/output-end.js';

export interface ExecCommandOptions extends DeviceOptions, ObserveOptions {
  mode: 'single' | '1kb' | '2kb';
  cores?: number[];
  idle: 'adaptive' | 'spin';
  dns?: readonly string[];
  kernelPorts?: readonly PortRange[];
  quiet?: boolean;
}

/**
 * Starts a program.
 * @returns whether it runs in this thread: the process then ends as the program wants it to. Otherwise the programs of
 * all cores have ended
 */
export async function exec(program: string, args: readonly string[], options: ExecCommandOptions): Promise<boolean> {
  const { mode, cores, idle, dns = [], kernelPorts = [], quiet } = options;
  const execOptions: ExecOptions = { program: findProgram(program), args, dns, kernelPorts };
  const config = { ...deviceConfig(options), idle, ...(cores === undefined ? {} : { cores }) };
  // The output belongs to the program, with its errors.
  unwatchOutput();
  const { device } = options;
  const observed = new ObservedPort({ kind: 'exec', mode, file: program, device }, options);
  beforeDeath(observed.removeNow);
  const begin = async (port: Port, totals = () => port.totals()): Promise<void> => {
    await observed.ready(port, totals);
    port.on('link', limitedLinkLines());
    showLease(port, tellErr);
    if (quiet) return;
    tellServed(options, observed.servedPort, tellErr);
    showOffloads(port, tellErr);
    announce(port, program, kernelPorts);
  };
  await observed.served();
  try {
    if (mode !== 'single') {
      await runThreads({ ...config, mode, app: EXEC_APP, appOptions: { ...execOptions } }, begin);
      await observed.close();
      return false;
    }
    new HangWatch(END_SIGNALS);
    const { port, host } = await openHere({ ...config, mode }, execOptions, tellErr);
    await begin(port, async () => [liveTotals(host)]);
  } catch (error) {
    await observed.close();
    throw error;
  }
  startProgram(execOptions.program, args);
  return true;
}

/** Runs the program in the thread of each core, until all have ended, or one has failed. */
async function runThreads(config: MulticoreConfig, begin: (port: Port) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const opening = init({ ...config, onCoreFailure: 'stop' }, { signal: stop.signal, warn });
  onDefaultSignal(async () => {
    stop.abort();
    await (await opening.catch(() => null))?.stop().catch(() => {});
  });
  const port = await opening.catch((error) => dying(stop.signal, error));
  // A program that fails on one core ends those on the others.
  const failed = new AbortController();
  port.on('coreEnd', (_, exitCode) => {
    if (exitCode === 0) return;
    process.exitCode ??= exitCode;
    failed.abort();
  });
  try {
    const running = port.run(AbortSignal.any([stop.signal, failed.signal]));
    await Promise.race([begin(port), running.catch(() => {})]);
    await running;
  } catch (error) {
    if (stop.signal.aborted || placeOf(error) === null) await dying(stop.signal, error);
    printTrace(`${traceOf(error)}\n\nNode.js ${process.version}`);
    process.exitCode = 1;
  } finally {
    await port.stop();
  }
  if (stop.signal.aborted) await dying(stop.signal, null);
}
