/** The embedded switch as a contestant. It has one CPU, and its ports are vhost-user sockets. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../../scripts/child.js';
import { benchCpus } from './cpus.js';

/**
 * Starts a switch whose ports have their sockets in a folder. Resolves when it listens.
 * @param variables more variables of bess/forward_n.bess, as NAME=value
 * @returns its process, and one socket per port; behind port i (from 0 on) is the address {@link macBehind}
 */
export async function startEmbeddedSwitch(
  folder: string,
  ports: number,
  variables: readonly string[] = [],
): Promise<{ main: Child; sockets: string[] }> {
  const main = await startScript('forward_n.bess', [`NPORTS=${ports}`, `DIR=${folder}`, ...variables]);
  return { main, sockets: Array.from({ length: ports }, (_, i) => join(folder, `vhost${i + 1}.sock`)) };
}

/**
 * Starts a switch with a script of `bess/`. BESS can run the same script. Resolves when it listens.
 * @param variables of the script, as NAME=value
 */
export async function startScript(name: string, variables: readonly string[]): Promise<Child> {
  const script = fileURLToPath(new URL(`../../../bess/${name}`, import.meta.url));
  // taskset pins it, as add_worker does in BESS.
  const cpu = String(benchCpus().common);
  const main = Child.spawn('taskset', [
    '-c',
    cpu,
    ...Child.commandLine('switch', script, ...variables, '--idle', 'spin'),
  ]);
  try {
    await main.waitFor(/^ready: /m);
  } catch (error) {
    await main.stop();
    throw error;
  }
  return main;
}

/**
 * Returns the MAC address behind a port, as in bess/forward_n.bess.
 * @param port counted from 0
 */
export const macBehind = (port: number): string => `52:54:00:00:00:${(port + 1).toString(16).padStart(2, '0')}`;
