/**
 * tspmd/register: `node --import tspmd/register PROGRAM.js` runs a program whose sockets use a device, as `tspmd exec`
 * does with mode `single`. The configuration is in environment variables: docs/node.md.
 *
 * @module tspmd/register
 */
import { isMainThread } from 'node:worker_threads';
import { tellErr, useLogForm } from '../../../drivers/log/event-log.js';
import { messageOf } from '../../../drivers/log/message-of.js';
import { ConfigError } from '../../errors.js';
import { announce } from './announcement.js';
import { readEnvironment } from './environment.js';
import { openHere } from './here.js';

/** The process that has the device. Its children inherit the variable, and use the kernel. */
const OWNER = 'TSPMD_PROCESS';

async function register(): Promise<void> {
  process.env[OWNER] = String(process.pid);
  try {
    const { config, options, isQuiet, log } = readEnvironment(process.env);
    useLogForm(log);
    const { port } = await openHere(config, options, tellErr);
    if (!isQuiet) announce(port, process.argv[1] ?? '', options.kernelPorts);
  } catch (error) {
    const exitCode = error instanceof ConfigError ? 2 : 1;
    for (const line of messageOf(error).split('\n')) tellErr(line, { event: 'error', exitCode });
    process.exit(exitCode);
  }
}

// A thread of the program has its environment, and uses the kernel.
if (isMainThread && process.env[OWNER] === undefined) await register();
