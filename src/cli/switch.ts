/** `tspmd switch`: runs a script. */
import { SwitchError } from '../../bess/errors.js';
import type { ObserveOptions } from './observe/observed-port.js';
import { neverWaitForTerminal } from './output/lines.js';
import { serviceManager, untilStopped } from './shutdown.js';

/** Runs a script until a signal comes. */
export async function runSwitchCommand(
  file: string,
  variables: Record<string, string>,
  options: { idle: 'adaptive' | 'spin'; peerMemory: 'any' | 'sealed' } & ObserveOptions,
): Promise<void> {
  const { runSwitch } = await import('../../bess/run-switch.js');
  const { idle, peerMemory, name, metrics, page = false } = options;
  neverWaitForTerminal();
  const stop = new AbortController();
  void untilStopped(await serviceManager()).then(() => stop.abort());
  try {
    await runSwitch({
      ...{ script: file, variables, idle, peerMemory, page, signal: stop.signal },
      ...(name === undefined ? {} : { name }),
      ...(metrics === undefined ? {} : { metrics }),
    });
  } catch (error) {
    if (!(error instanceof SwitchError && error.code === 'ERR_TSPMD_ABORTED')) throw error;
  }
}
