/** A program over a device that this thread opens: `tspmd exec --mode single`, and `tspmd/register`. */
import type { SingleConfig } from '../../config.js';
import { type InitOptions, init } from '../../init.js';
import { runStack } from '../../link/run-loop.js';
import type { SinglePort } from '../../port.js';
import { onDefaultSignal } from './default-signals.js';
import type { ExecOptions } from './options.js';
import { EXIT_MS, takeOver } from './take-over.js';

/** Takes one line for the user. */
type Tell = (line: string) => void;

/**
 * Opens a device and takes over the sockets of this thread. The device does not keep the process alive, and is given
 * back at its end: also by a signal, unless the program handles it.
 * @param tell takes a line when the device fails later, which ends the process
 * @throws (rejects) as `init`
 */
export async function openHere(
  config: SingleConfig,
  options: Pick<ExecOptions, 'kernelPorts' | 'dns'>,
  tell: Tell,
): Promise<SinglePort> {
  const stop = new AbortController();
  let atSignal = async (): Promise<void> => {};
  onDefaultSignal(async () => {
    stop.abort();
    await atSignal();
  });
  const initOptions: InitOptions = { signal: stop.signal, warn: tell };
  const port = await init(config, initOptions);
  const host = takeOver(port.core(), options);
  atSignal = async () => {
    host.endNow(EXIT_MS);
    await port.stop();
  };
  runStack(port.core(), host, { signal: stop.signal }).catch((error: Error) => {
    if (stop.signal.aborted) return;
    tell(error.message);
    process.exit(1);
  });
  process.on('exit', () => {
    stop.abort();
    // What can be done at once is done; the rest does the end of the process.
    port.stop().catch(() => {});
  });
  return port;
}
