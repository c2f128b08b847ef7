/** A program over a device that this thread opens: `tspmd exec --mode single`, and `tspmd/register`. */
import type { EventSink } from '../../../drivers/log/events.js';
import type { SingleConfig } from '../../config.js';
import { init } from '../../init.js';
import { runStack } from '../../link/run-loop.js';
import type { SinglePort } from '../../port.js';
import type { NetHost } from '../host.js';
import { onDefaultSignal } from './default-signals.js';
import type { ExecOptions } from './options.js';
import { takeOver } from './take-over.js';

/** Waits for the signal that the process dies of; without one, throws `error`, which is no consequence of it then. */
export function dying(signal: AbortSignal, error: unknown): Promise<never> {
  if (!signal.aborted) throw error;
  return new Promise(() => {});
}

/**
 * Opens a device and takes over the sockets of this thread. The device does not keep the process alive, and is given
 * back at its end: also by a signal, unless the program handles it.
 * @param tell takes warnings, and a line when the device fails later, which ends the process
 * @throws (rejects) as `init`
 */
export async function openHere(
  config: SingleConfig,
  options: Pick<ExecOptions, 'kernelPorts' | 'dns'>,
  tell: EventSink,
): Promise<{ readonly port: SinglePort; readonly host: NetHost }> {
  const stop = new AbortController();
  const warn = (line: string): void => tell(line, { event: 'warning' });
  const opening = init({ ...config, offloads: config.offloads ?? 'auto' }, { signal: stop.signal, warn });
  let host: NetHost | null = null;
  onDefaultSignal(async () => {
    stop.abort();
    host?.endNow();
    await (await opening.catch(() => null))?.stop().catch(() => {});
  });
  const port = await opening.catch((error) => dying(stop.signal, error));
  const net = takeOver(port.core(), options);
  host = net;
  runStack(port.core(), net, { signal: stop.signal }).catch((error: Error) => {
    if (stop.signal.aborted) return;
    tell(error.message, { event: 'error', exitCode: 1 });
    process.exit(1);
  });
  process.on('exit', () => {
    stop.abort();
    // What can be done at once is done; the rest does the end of the process.
    port.stop().catch(() => {});
  });
  return { port, host: net };
}
