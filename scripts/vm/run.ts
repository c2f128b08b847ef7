/** Runs one command in a guest: resumes a saved machine, sends the command, passes its output on, and ends QEMU. */
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { whenAborted } from '../../drivers/stop-signal.js';
import { findGuest, isNoIommuPossible, NO_IOMMU_REMEDY } from './cache.js';
import { type CommandLine, commandLines, FILES, type Machine } from './machine.js';
import { Monitor } from './monitor.js';
import type { Qemu } from './qemu.js';
import { type Saved, savedMachine, startMachine } from './saved.js';
import { script } from './shell.js';

/** The time limit of a run, boot included. It suffices on a busy host. */
export const DEFAULT_TIMEOUT_SECONDS = 60;

export interface Streams {
  readonly input: Readable;
  readonly output: Writable;
  readonly errors: Writable;
}

/** The command did not end in time. */
export class GuestTimeout extends Error {}

/**
 * Runs `command` in a new guest, with the current folder and the PATH of this process. Resolves to its exit status when
 * all its output has been written. Rejects when the guest cannot start or ends before the command, and with the
 * signal's reason when `abort` aborts. No process is left when it settles.
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
  if (machine.mode === 'no-iommu' && !isNoIommuPossible()) {
    throw new Error(`the guest has no vfio.ko that works without an IOMMU; ${NO_IOMMU_REMEDY}`);
  }
  const { boot, resume } = commandLines(guest, machine);
  const timer = new AbortController();
  const expire = setTimeout(() => timer.abort(), timeoutSeconds * 1000);
  const halted = Promise.race([
    rejectWhenAborted(timer.signal, () => new GuestTimeout(`the command did not end within ${timeoutSeconds} s`)),
    rejectWhenAborted(abort, () => abort.reason),
  ]);
  halted.catch(() => {});
  try {
    const saved = resume && (await savedMachine(guest, boot, halted));
    return await runOnce(resume ?? boot, saved, order(machine, command), streams, halted);
  } finally {
    clearTimeout(expire);
  }
}

/** Rejects with `reason()` when the signal aborts. */
async function rejectWhenAborted(signal: AbortSignal, reason: () => unknown): Promise<never> {
  await whenAborted(signal);
  throw reason();
}

async function runOnce(
  line: CommandLine,
  saved: Saved | undefined,
  order: string,
  streams: Streams,
  halted: Promise<never>,
): Promise<number> {
  const qemu = startMachine(line, saved);
  try {
    const work = async (): Promise<number> => {
      if (saved !== undefined) await (await Monitor.connect(qemu)).resume(FILES.devices);
      return await converse(qemu, order, streams);
    };
    return await Promise.race([work(), qemu.ended, halted]);
  } catch (error) {
    if (error instanceof Error && /load of migration failed/.test(error.message)) {
      error.message += "; 'npm run setup:peers' removes all saved machines, so that they are made again";
    }
    throw error;
  } finally {
    await qemu.end();
    for (const path of line.leftovers) rmSync(path, { force: true });
  }
}

/** Sends the order, passes the command's output on, and resolves to its exit status. */
async function converse(qemu: Qemu, order: string, streams: Streams): Promise<number> {
  const nonce = randomUUID();
  // QEMU keeps the order until the guest reads it.
  qemu.port('ctl').write(`${nonce} ${order}\n`);
  streams.input.pipe(qemu.port('in'));
  const [status] = await Promise.all([
    exitStatus(qemu),
    forward(qemu.port('out'), streams.output, nonce),
    forward(qemu.port('err'), streams.errors, nonce),
  ]);
  return status;
}

/** Resolves to the exit status of the command. */
function exitStatus(qemu: Qemu): Promise<number> {
  return new Promise((resolve) => {
    qemu.lines('ctl').on('line', (line) => {
      const status = line.match(/^exit (\d+)$/)?.[1];
      if (status !== undefined) resolve(Number(status));
    });
  });
}

/**
 * Returns the order, a line of words for /init: the command, the time, the mode, the kernel's driver, and the share's
 * path.
 */
function order({ mode, kernelDriver, share }: Machine, command: readonly string[]): string {
  const seconds = Math.floor(Date.now() / 1000);
  const folder = share === undefined ? [] : [Buffer.from(share).toString('base64')];
  return [script(command), seconds, mode, kernelDriver ? 'kernel-driver' : 'no-kernel-driver', ...folder].join(' ');
}

/** Passes the output on until the end mark, which is a zero byte and the nonce. Resolves at the mark. */
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
      // Processes that still run in the guest may write more.
      from.off('data', onData).resume();
      resolve();
    };
    from.on('data', onData);
  });
}

/** Returns the offset at which the data ends with a beginning of the mark; otherwise the length of the data. */
function partialMark(data: Buffer, mark: Buffer): number {
  for (let at = Math.max(0, data.length - mark.length + 1); at < data.length; at++) {
    if (data[at] === 0 && data.subarray(at).equals(mark.subarray(0, data.length - at))) return at;
  }
  return data.length;
}
