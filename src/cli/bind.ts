/** `tspmd bind` and `tspmd unbind`: run the bind script that comes with the package. */
import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

/** Seen from the compiled command, in a package as in a checkout. */
const SCRIPT = fileURLToPath(new URL('../../../scripts/bind-vfio.sh', import.meta.url));

/**
 * Runs the script; its output and its exit code become ours.
 * @param args of the script: `0000:00:10.0 --hugepages 64`; see its `--help`
 * @throws Error when it cannot be started
 */
export function runBindScript(args: readonly string[]): void {
  // Its messages name the command that the user has typed. Not started by its path: a copy may have lost its x bit.
  const env = { ...process.env, TSPMD_BIND_COMMAND: 'tspmd bind' };
  const { status, signal, error } = spawnSync('bash', [SCRIPT, ...args], { stdio: 'inherit', env });
  if (error !== undefined) throw new Error(`${SCRIPT} cannot be started with bash: ${error.message}`, { cause: error });
  process.exitCode = status ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}
