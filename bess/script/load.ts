/** A `.bess` script becomes a switch. */
import { readFileSync } from 'node:fs';
import type { PeerFiles } from '../../drivers/transports/vhost-user/peer-memory.js';
import { BessScriptError, runScript } from '../lang/index.js';
import { openDevices } from '../ports/devices.js';
import type { DeviceFactory } from '../ports/pmd-port.js';
import { Switch } from '../switch.js';
import type { IdlePolicy } from '../worker.js';
import { SwitchHost } from './host.js';

export interface LoadOptions {
  /** Opens the devices behind the ports; the real ones where nothing is said. */
  readonly devices?: DeviceFactory;
  readonly idle?: IdlePolicy;
  /** Which files the memories of vhost-user peers may be of, where `devices` are the real ones; `any` by default. */
  readonly peerFiles?: PeerFiles;
  /** What the script prints; stdout where nothing is said. */
  readonly print?: (line: string) => void;
  /** What happens to the ports, and what the script should know; stderr where nothing is said. */
  readonly log?: (line: string) => void;
}

/**
 * Runs a script. The switch that it makes listens on its ports, but does not forward before `start`.
 *
 * Throws what is wrong with the script as one line, `file:line:column: text`; no port or socket of it is left then.
 * @param variables what `$NAME` is in the script, before the environment
 */
export async function loadScript(
  file: string,
  variables: Readonly<Record<string, string>> = {},
  options: LoadOptions = {},
): Promise<Switch> {
  const print = options.print ?? ((line) => process.stdout.write(`${line}\n`));
  const log = options.log ?? ((line) => process.stderr.write(`${line}\n`));
  const source = readScript(file);
  const devices = options.devices ?? openDevices(options.peerFiles);
  const bess = new Switch({ devices, log, ...(options.idle === undefined ? {} : { idle: options.idle }) });
  try {
    runScript(source, file, new SwitchHost(bess, variables, { print, log }));
    bess.graph.checkLoops();
    return bess;
  } catch (error) {
    await bess.stop();
    throw withCode(error);
  }
}

/** As bessctl shows it, the errno too. */
function withCode(error: unknown): unknown {
  if (!(error instanceof BessScriptError) || error.code === undefined) return error;
  return new Error(`${error.message} (${error.code})`, { cause: error });
}

function readScript(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(`cannot read the script ${file}: ${code === 'ENOENT' ? 'there is no such file' : code}`);
  }
}
