/**
 * `tspmd switch`: runs a script, or prints the counters of running switches. Only this file of `src/` imports `bess/`.
 */
import { SwitchError } from '../../bess/errors.js';
import { neverWaitForTerminal } from './output/lines.js';
import { untilStopped } from './shutdown.js';

/** Runs a script until a signal comes. */
export async function runSwitchCommand(
  file: string,
  variables: Record<string, string>,
  options: { idle: 'adaptive' | 'spin'; peerMemory: 'any' | 'sealed' },
): Promise<void> {
  const { runSwitch } = await import('../../bess/run-switch.js');
  const { idle, peerMemory } = options;
  neverWaitForTerminal();
  const stop = new AbortController();
  void untilStopped().then(() => stop.abort());
  try {
    await runSwitch({ script: file, variables, idle, peerMemory, signal: stop.signal });
  } catch (error) {
    if (!(error instanceof SwitchError && error.code === 'ERR_TSPMD_ABORTED')) throw error;
  }
}

/** Prints the counters of all running switches, or of the one with this process id. */
export async function printSwitchStats(pid: string | undefined, options: { json?: boolean }): Promise<void> {
  if (pid !== undefined && !/^\d+$/.test(pid)) throw new Error(`switch --stats: '${pid}' is not a process id`);
  // Not loaded with the rest: to ask a running switch needs no script language.
  const { printStats } = await import('../../bess/control/print-stats.js');
  await printStats({ json: options.json ?? false, ...(pid === undefined ? {} : { pid: Number(pid) }) });
}
