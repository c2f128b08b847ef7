/** The embedded switch as a contestant. It has one CPU, and its ports are vhost-user sockets. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../../scripts/child.js';
import { benchCpus } from './cpus.js';

const SCRIPT = fileURLToPath(new URL('../../../bess/forward_n.bess', import.meta.url));

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
  // taskset pins it, as add_worker does in BESS. BESS can run the same script.
  const cpu = String(benchCpus().common);
  const given = [`NPORTS=${ports}`, `DIR=${folder}`, ...variables];
  const command = Child.commandLine('switch', SCRIPT, ...given, '--idle', 'spin');
  const main = Child.spawn('taskset', ['-c', cpu, ...command]);
  try {
    await main.waitFor(/^ready: /m);
  } catch (error) {
    await main.stop();
    throw error;
  }
  return { main, sockets: Array.from({ length: ports }, (_, i) => join(folder, `vhost${i + 1}.sock`)) };
}

/**
 * Returns the MAC address behind a port, as in bess/forward_n.bess.
 * @param port counted from 0
 */
export const macBehind = (port: number): string => `52:54:00:00:00:${(port + 1).toString(16).padStart(2, '0')}`;
