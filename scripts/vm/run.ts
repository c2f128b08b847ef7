/** Runs one command in a guest: starts QEMU, hands the command over, passes the output on as it comes, ends QEMU. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { findGuest } from './cache.js';
import { commandLine, type Machine, PORTS } from './machine.js';

const STOP_TIMEOUT_MS = 3_000;
/** As much of the guest's console as an error message may have. */
const CONSOLE_TAIL = 4_000;

export interface Streams {
  readonly input: Readable;
  readonly output: Writable;
  readonly errors: Writable;
}

/** The time for the whole run was over before the command was. */
export class GuestTimeout extends Error {}

/**
 * Runs `command` in a guest of its own, in the same folder as here. Resolves to its exit status when all its output has been written. Rejects when the
 * guest cannot start or dies before the command ends. Nothing is left running when it settles.
 */
export async function runInGuest(
  machine: Machine,
  command: readonly string[],
  streams: Streams,
  timeoutMs: number,
  abort: AbortSignal,
): Promise<number> {
  const guest = findGuest();
  if (guest === undefined) throw new Error("no guest is built; run 'npm run setup:peers' as root");
  const { program, args, leftovers } = commandLine(guest, machine);
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  const ports = Object.keys(PORTS).map(() => 'pipe' as const);
  const qemu = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe', ...ports], env });
  try {
    return await converse(qemu, command, streams, timeoutMs, abort);
  } finally {
    await end(qemu);
    for (const path of leftovers) rmSync(path, { force: true });
  }
}

async function end(qemu: ChildProcess): Promise<void> {
  if (qemu.pid === undefined || qemu.exitCode !== null || qemu.signalCode !== null) return;
  const exited = once(qemu, 'exit');
  qemu.kill('SIGTERM');
  const timer = setTimeout(() => qemu.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}

function converse(
  qemu: ChildProcess,
  command: readonly string[],
  streams: Streams,
  timeoutMs: number,
  abort: AbortSignal,
): Promise<number> {
  const sockets: readonly unknown[] = qemu.stdio;
  const port = (name: keyof typeof PORTS): Socket => sockets[PORTS[name]] as Socket;
  const nonce = crypto.randomUUID();
  let complaints = '';
  let console = '';
  return new Promise((resolve, reject) => {
    const why = (what: string): string =>
      [what, complaints.trim(), console.slice(-CONSOLE_TAIL).trim()].filter(Boolean).join('\n');
    const timer = setTimeout(
      () => reject(new GuestTimeout(why(`the command did not end within ${timeoutMs / 1000} s`))),
      timeoutMs,
    );
    const settle =
      <T>(act: (value: T) => void) =>
      (value: T): void => {
        clearTimeout(timer);
        act(value);
      };
    const fail = settle(reject);
    qemu.on('error', (error) => fail(new Error(`QEMU did not start: ${error.message}`)));
    qemu.on('close', (code, signal) =>
      fail(new Error(why(`the guest ended before the command did (QEMU: ${signal ?? code})`))),
    );
    abort.addEventListener('abort', () => fail(new Error('stopped')));
    qemu.stderr?.setEncoding('utf8').on('data', (text: string) => (complaints += text));
    port('console')
      .setEncoding('utf8')
      .on('data', (text: string) => (console += text));
    for (const name of ['console', 'ctl', 'in', 'out', 'err'] as const) port(name).on('error', () => {}); // QEMU's end says it

    const ended = [
      forward(port('out'), streams.output, nonce),
      forward(port('err'), streams.errors, nonce),
      exitStatus(port('ctl'), nonce, command, () => streams.input.pipe(port('in'))),
    ] as const;
    Promise.all(ended).then(([, , status]) => settle(resolve)(status), fail);
  });
}

/** Gives the command to the guest when that has booted, and resolves to its status. */
function exitStatus(ctl: Socket, nonce: string, command: readonly string[], booted: () => void): Promise<number> {
  return new Promise((resolve) => {
    let text = '';
    ctl.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.startsWith('booted\n')) {
        text = text.slice('booted\n'.length);
        ctl.write(`${nonce} ${Buffer.from(script(command)).toString('base64')}\n`);
        booted();
      }
      const status = text.match(/^exit (\d+)\n/)?.[1];
      if (status !== undefined) resolve(Number(status));
    });
  });
}

/** The command as a shell script: in the same folder and with the same PATH as here. */
function script(command: readonly string[]): string {
  const path = `${process.env.PATH}:/usr/sbin:/sbin:/run/vm/bin`;
  return `export HOME=/root PATH=${quote(path)}\ncd ${quote(process.cwd())}\nexec ${command.map(quote).join(' ')}\n`;
}

const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/** Passes on what comes before the end mark; resolves at the mark. */
function forward(from: Socket, to: Writable, nonce: string): Promise<void> {
  const mark = Buffer.from(`\0${nonce}`);
  let held = Buffer.alloc(0);
  return new Promise((resolve) => {
    from.on('data', (chunk: Buffer) => {
      const data = Buffer.concat([held, chunk]);
      const end = data.indexOf(mark);
      const zero = data.indexOf(0, Math.max(0, data.length - mark.length + 1));
      // Only what may be the beginning of the mark waits for more.
      const safe = end >= 0 ? end : zero >= 0 ? zero : data.length;
      held = data.subarray(safe);
      if (safe > 0 && !to.write(data.subarray(0, safe))) {
        from.pause();
        to.once('drain', () => from.resume());
      }
      if (end >= 0) {
        from.removeAllListeners('data').resume();
        resolve();
      }
    });
  });
}
