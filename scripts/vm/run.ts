/** Runs one command in a guest: starts QEMU, hands the command over, passes the output on as it comes, ends QEMU. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { findGuest } from './cache.js';
import { commandLine, type Machine, PORTS } from './machine.js';

/** For a whole run, boot included, on a busy host. */
export const DEFAULT_TIMEOUT_SECONDS = 60;
const STOP_TIMEOUT_MS = 3_000;
/** As much of QEMU's errors or the guest's console as a message may have. */
const TAIL = 4_000;

export interface Streams {
  readonly input: Readable;
  readonly output: Writable;
  readonly errors: Writable;
}

/** The time for the whole run was over before the command was. */
export class GuestTimeout extends Error {}

/**
 * Runs `command` in a guest of its own, in the folder and with the PATH that this process has. Resolves to its exit
 * status when all its output has been written. Rejects when the guest cannot start, when it dies before the command ends, and
 * with the signal's reason when that aborts. Nothing is left running when it settles.
 */
export async function runInGuest(
  machine: Machine,
  command: readonly string[],
  streams: Streams,
  timeoutSeconds: number,
  abort: AbortSignal = new AbortController().signal,
): Promise<number> {
  const guest = findGuest();
  if (guest === undefined) throw new Error("no guest is built; run 'npm run setup:peers' as root");
  const { program, args, leftovers } = commandLine(guest, machine);
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  const sockets = Object.keys(PORTS).map(() => 'pipe' as const);
  const qemu = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe', ...sockets], env });
  const timer = new AbortController();
  const expire = setTimeout(() => timer.abort(), timeoutSeconds * 1000);
  try {
    return await Promise.race([
      converse(qemu, command, streams),
      aborted(timer.signal, () => new GuestTimeout(`the command did not end within ${timeoutSeconds} s`)),
      aborted(abort, () => abort.reason),
    ]);
  } finally {
    clearTimeout(expire);
    await end(qemu);
    for (const path of leftovers) rmSync(path, { force: true });
  }
}

/** Rejects with what `reason` gives when the signal aborts. */
function aborted(signal: AbortSignal, reason: () => unknown): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(reason()), { once: true }));
}

/** Ends the machine, and waits until it has. */
async function end(qemu: ChildProcess): Promise<void> {
  if (qemu.pid === undefined || qemu.exitCode !== null || qemu.signalCode !== null) return;
  const exited = once(qemu, 'exit');
  qemu.kill('SIGTERM');
  const timer = setTimeout(() => qemu.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}

/** Hands the command over, passes its output on and resolves to its status; rejects when the guest ends first. */
function converse(qemu: ChildProcess, command: readonly string[], streams: Streams): Promise<number> {
  const stdio: readonly unknown[] = qemu.stdio;
  const port = (name: keyof typeof PORTS): Socket => stdio[PORTS[name]] as Socket;
  const nonce = randomUUID();
  return new Promise((resolve, reject) => {
    let complaints = '';
    let console = '';
    qemu.on('error', (error) => reject(new Error(`QEMU did not start: ${error.message}`)));
    qemu.on('close', (code, signal) => {
      const how = signal ?? `status ${code}`;
      if (code !== 0 && complaints !== '') reject(new Error(`QEMU ended with ${how}: ${complaints.trim()}`));
      else reject(new Error(`the guest ended before the command did (QEMU: ${how})\n${console}`.trim()));
    });
    qemu.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complaints = (complaints + text).slice(-TAIL);
    });
    const onConsole = (text: string): void => {
      console = (console + text).slice(-TAIL);
    };
    port('console').setEncoding('utf8').on('data', onConsole);
    // A socket's error means that QEMU is gone, which is told above.
    for (const name of Object.keys(PORTS)) port(name as keyof typeof PORTS).on('error', () => {});
    Promise.all([
      exitStatus(port('ctl'), `${nonce} ${script(command)}`, () => streams.input.pipe(port('in'))),
      forward(port('out'), streams.output, nonce),
      forward(port('err'), streams.errors, nonce),
    ]).then(([status]) => resolve(status), reject);
  });
}

/** Gives the guest its order when it has booted, and resolves to the command's status. */
function exitStatus(ctl: Socket, order: string, booted: () => void): Promise<number> {
  return new Promise((resolve) => {
    const lines = createInterface({ input: ctl });
    lines.on('line', (line) => {
      if (line === 'booted') {
        ctl.write(`${order}\n`);
        booted();
      }
      const status = line.match(/^exit (\d+)$/)?.[1];
      if (status !== undefined) resolve(Number(status));
    });
  });
}

/** The command as a shell script in base64: in the same folder and with the same PATH as here. */
function script(command: readonly string[]): string {
  const path = `${process.env.PATH}:/usr/sbin:/sbin:/run/vm/bin`;
  const words = command.map(quote).join(' ');
  const text = `export HOME=/root PATH=${quote(path)}\ncd ${quote(process.cwd())} || exit\nexec ${words}\n`;
  return Buffer.from(text).toString('base64');
}

const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/** Passes on what comes before the end mark, a zero byte and the nonce; resolves at the mark. */
function forward(from: Socket, to: Writable, nonce: string): Promise<void> {
  const mark = Buffer.from(`\0${nonce}`);
  let held = Buffer.alloc(0);
  return new Promise((resolve) => {
    const onData = (chunk: Buffer): void => {
      const data = Buffer.concat([held, chunk]);
      const end = data.indexOf(mark);
      const safe = end >= 0 ? end : partialMark(data, mark);
      held = data.subarray(safe);
      if (safe > 0 && !to.write(data.subarray(0, safe))) {
        from.pause();
        to.once('drain', () => from.resume());
      }
      if (end < 0) return;
      // What still runs in the guest may go on writing.
      from.off('data', onData).resume();
      resolve();
    };
    from.on('data', onData);
  });
}

/** Where the data's tail may be the mark's beginning, which has to wait for more; else the end of the data. */
function partialMark(data: Buffer, mark: Buffer): number {
  for (let at = Math.max(0, data.length - mark.length + 1); at < data.length; at++) {
    if (data[at] === 0 && data.subarray(at).equals(mark.subarray(0, data.length - at))) return at;
  }
  return data.length;
}
