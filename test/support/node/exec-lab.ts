/** Programs under `tspmd exec` behind one port of the embedded switch, and `tspmd get` as the client behind the other. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Child } from '../../../scripts/child.js';
import { TwoPortSwitch } from '../flows/two-port-switch.js';

/** The address of the program. */
export const PROGRAMS = '10.0.0.1';
const REGISTER = fileURLToPath(new URL('../../../dist/bundle/tspmd/register.js', import.meta.url));

export class ExecLab extends TwoPortSwitch {
  /** Writes a program into the folder of the lab. Returns its path. */
  program(name: string, text: string): string {
    writeFileSync(this.file(name), text);
    return this.file(name);
  }

  /** Starts `tspmd exec ARGUMENTS` behind port 1. */
  exec(...args: string[]): Child {
    return this.tspmd('exec', ...this.endpointWithMac(1), ...args);
  }

  /** Gets a page by a client behind port 2. */
  async get(path: string, port = 80): Promise<string> {
    const client = this.tspmd('get', ...this.endpointWithMac(2), `http://${PROGRAMS}:${port}${path}`);
    const { code } = await client.exited;
    if (code !== 0) throw new Error(`tspmd get ${path}: exit code ${code}\n${client.output}`);
    return client.stdout;
  }

  /** The arguments of `node` that run a program over port 1 by `tspmd/register`, and the environment. */
  registered(program: string): { args: string[]; env: Record<string, string> } {
    const env = { TSPMD_DEVICE: `vhost-user:${this.socket(1)}`, TSPMD_IP: `${PROGRAMS}/24`, TSPMD_HUGEPAGES: 'never' };
    return { args: ['--import', REGISTER, program], env: { ...env, TSPMD_MAC: '52:54:00:00:00:01' } };
  }
}
