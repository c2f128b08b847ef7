/** Makes a switch from a `.bess` script. */
import { tellErrPlain } from '../../drivers/log/event-log.js';
import type { EventSink } from '../../drivers/log/events.js';
import { LineWriter } from '../../drivers/log/line-writer.js';
import { messageOf } from '../../drivers/log/message-of.js';
import type { IdlePolicy } from '../../drivers/poll-loop.js';
import type { PeerFiles } from '../../drivers/transports/vhost-user/peer-memory.js';
import { ScriptError } from '../errors.js';
import { BessScriptError, runScript } from '../lang/index.js';
import { openDevices } from '../ports/devices.js';
import type { DeviceFactory } from '../ports/pmd-port.js';
import { Switch } from '../switch.js';
import { readScript, type ScriptText } from './find.js';
import { SwitchHost } from './host.js';

export interface LoadOptions {
  /** Opens the devices behind the ports; by default real ones. */
  readonly devices?: DeviceFactory;
  readonly idle?: IdlePolicy;
  /** Which files the memory of a vhost-user peer may be of; by default `any`. Not used with `devices`. */
  readonly peerFiles?: PeerFiles;
  /** Receives what the script prints; by default stdout. */
  readonly print?: (line: string) => void;
  /** Receives the events of the ports and what the user should know; by default stderr. */
  readonly log?: EventSink;
}

/**
 * Runs a script. The switch that it makes listens on its ports, but does not forward before `start`.
 *
 * Throws a {@link ScriptError} with the mistake as one line, `file:line:column: text`. All ports and sockets are closed
 * then.
 * @param script the name of the file, or the text
 * @param variables the values of `$NAME` in the script; they take precedence over the environment
 */
export async function loadScript(
  script: string | ScriptText,
  variables: Readonly<Record<string, string>> = {},
  options: LoadOptions = {},
): Promise<Switch> {
  const print = options.print ?? ((text) => LineWriter.of(process.stdout).text(text));
  const log = options.log ?? tellErrPlain;
  const warn = (line: string): void => log(line, { event: 'warning' });
  const { name, source } = typeof script === 'string' ? readScript(script) : script;
  const devices = options.devices ?? openDevices(options.peerFiles);
  const bess = new Switch({ devices, log, ...(options.idle === undefined ? {} : { idle: options.idle }) });
  const host = new SwitchHost(bess, variables, { print, log: warn });
  try {
    runScript(source, name, host);
    bess.graph.check();
  } catch (error) {
    await bess.stop();
    throw scriptError(error, name);
  }
  for (const line of host.unreadVariables()) warn(line);
  return bess;
}

/** The error for the user, with the errno, as bessctl shows it. */
function scriptError(error: unknown, file: string): ScriptError {
  const message = messageOf(error);
  if (!(error instanceof BessScriptError)) return new ScriptError(`${file}: ${message}`, { file, cause: error });
  const { line, column, code } = error;
  const text = code === undefined ? message : `${message} (${code})`;
  return new ScriptError(text, { file, line, column, errno: code, cause: error });
}
