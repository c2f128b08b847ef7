/**
 * tspmd/register: `node --import tspmd/register PROGRAM.js` runs a program whose sockets use a device, as `tspmd exec`
 * does with mode `single`. The configuration is in environment variables: docs/node.md.
 *
 * @module tspmd/register
 */
import { isMainThread } from 'node:worker_threads';
import { LineWriter } from '../../../drivers/log/line-writer.js';
import { messageOf } from '../../../drivers/log/message-of.js';
import { ConfigError } from '../../errors.js';
import { announcement } from './announcement.js';
import { readEnvironment } from './environment.js';
import { openHere } from './here.js';

/** The process that has the device. Its children inherit the variable, and use the kernel. */
const OWNER = 'TSPMD_PROCESS';

const tell = (line: string): void => LineWriter.of(process.stderr).line(`tspmd: ${line}`);

async function register(): Promise<void> {
  process.env[OWNER] = String(process.pid);
  try {
    const { config, options, isQuiet } = readEnvironment(process.env);
    const { port } = await openHere(config, options, tell);
    if (!isQuiet) tell(announcement(port, options.kernelPorts));
  } catch (error) {
    for (const line of messageOf(error).split('\n')) tell(line);
    process.exit(error instanceof ConfigError ? 2 : 1);
  }
}

// A thread of the program has its environment, and uses the kernel.
if (isMainThread && process.env[OWNER] === undefined) await register();
