/** `tspmd exec`: runs a Node program whose sockets use the device. */
import { init, type Port, type SinglePort } from '../index.js';
import { currentHost } from '../node/current.js';
import { announcement } from '../node/exec/announcement.js';
import { EXEC_APP } from '../node/exec/app-file.js';
import { onDefaultSignal } from '../node/exec/default-signals.js';
import type { ExecOptions } from '../node/exec/options.js';
import type { PortRange } from '../node/exec/ports.js';
import { findProgram } from '../node/exec/program.js';
import { EXIT_MS } from '../node/exec/take-over.js';
import { type DeviceOptions, deviceConfig } from './device-options.js';
import { warn } from './output/lines.js';
import { limitedLinkLines } from './output/link-lines.js';
import { unwatchOutput } from './output/output-end.js';

export interface ExecCommandOptions extends DeviceOptions {
  mode: 'single' | '1kb' | '2kb';
  cores?: number[];
  idle: 'adaptive' | 'spin';
  dns?: readonly string[];
  kernelPorts?: readonly PortRange[];
  quiet?: boolean;
}

/**
 * Starts a program.
 * @returns whether it runs in this thread: the process then ends as the program wants it to
 */
export async function exec(program: string, args: readonly string[], options: ExecCommandOptions): Promise<boolean> {
  const { mode, cores, idle, dns = [], kernelPorts = [], quiet } = options;
  const path = findProgram(program);
  // The output belongs to the program, with its errors.
  unwatchOutput();
  const stop = new AbortController();
  let port: Port | null = null;
  onDefaultSignal(async () => {
    stop.abort();
    if (port?.mode === 'single') currentHost().endNow(EXIT_MS);
    await port?.stop().catch(() => {});
  });
  const appOptions: ExecOptions = { program: path, args, dns, kernelPorts };
  port = await init(
    {
      ...deviceConfig(options),
      ...{ mode, idle, app: EXEC_APP, appOptions: { ...appOptions }, onCoreFailure: 'stop' },
      ...(cores === undefined ? {} : { cores }),
    },
    { signal: stop.signal, warn },
  );
  port.on('link', limitedLinkLines());
  if (!quiet) warn(announcement(port, kernelPorts));
  if (port.mode === 'single') {
    runHere(port, stop);
    return true;
  }
  await port.run(stop.signal);
  await port.stop();
  return false;
}

/** Runs the program in this thread. */
function runHere(port: SinglePort, stop: AbortController): void {
  port.run(stop.signal).catch((error: Error) => {
    if (stop.signal.aborted) return;
    warn(error.message);
    process.exit(1);
  });
  process.on('exit', () => {
    stop.abort();
    // What can be done at once is done; the rest does the end of the process.
    void port.stop().catch(() => {});
  });
}
