/** `tspmd bind` and `tspmd unbind`: run the script `bind-vfio.sh` of the package. */
import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

/** The path is the same in an installed package and in a checkout. */
const SCRIPT = fileURLToPath(new URL('../../../scripts/bind-vfio.sh', import.meta.url));

/**
 * Runs the script. Its output and its exit code become those of the command.
 * @param args for the script, such as `0000:00:10.0 --hugepages 64`; its `--help` lists them
 * @throws Error when the script cannot be started
 */
export function runBindScript(args: readonly string[]): void {
  // The variable makes the script's messages name `tspmd bind`. bash runs it, because a copy may not be executable.
  const env = { ...process.env, TSPMD_BIND_COMMAND: 'tspmd bind' };
  const { status, signal, error } = spawnSync('bash', [SCRIPT, ...args], { stdio: 'inherit', env });
  if (error !== undefined) throw new Error(`${SCRIPT} cannot be started with bash: ${error.message}`, { cause: error });
  process.exitCode = status ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}
