/**
 * Machines that have booted, as they were before they had mounted anything or been told what to do: the state of the
 * devices, and the memory, a file with holes. A guest goes on from there in a fraction of the time that a boot takes.
 *
 * One for each shape of machine, in the built guest's folder; complete or absent.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { emptyMemfd } from '../../drivers/libc/index.js';
import { programPath } from '../programs.js';
import type { CommandLine } from './machine.js';
import { Monitor } from './monitor.js';
import { Qemu } from './qemu.js';

const COPY_TIMEOUT_MS = 60_000;
const PREFIX = 'saved-';
const UNFINISHED = 'save-';

export interface Saved {
  /** Paths. */
  readonly devices: string;
  readonly memory: string;
}

/** The saved machine that comes up by this command line: that of an earlier run, or it is booted and saved now. */
export async function savedMachine(guest: string, boot: CommandLine, halted: Promise<never>): Promise<Saved> {
  const folder = join(guest, `${PREFIX}${keyOf(boot)}`);
  const saved = { devices: join(folder, 'devices'), memory: join(folder, 'memory') };
  if (existsSync(folder)) return saved;
  // Made aside and renamed: another run may be doing the same.
  const work = mkdtempSync(join(guest, UNFINISHED));
  try {
    const made = join(work, 'made');
    mkdirSync(made);
    await bootAndSave(boot, join(made, 'devices'), join(made, 'memory'), halted);
    try {
      renameSync(made, folder);
    } catch (error) {
      // That other run was first: it has made the same.
      if (!existsSync(folder)) throw error;
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return saved;
}

/** Those of a built guest, which are made again when they are needed, and what runs that were killed have left. */
export function removeSavedMachines(guest: string): void {
  for (const name of readdirSync(guest)) {
    if (name.startsWith(PREFIX) || name.startsWith(UNFINISHED)) rmSync(join(guest, name), { recursive: true });
  }
}

/** Starts a machine: from where it was saved, or from power-on. */
export function startMachine(line: CommandLine, saved: Saved | undefined): Qemu {
  const devices = saved && openSync(saved.devices, 'r');
  try {
    const memory = emptyMemfd('guest');
    try {
      if (saved !== undefined) copyMemory(saved.memory, pathOf(memory));
      return new Qemu(line, memory, devices);
    } finally {
      closeSync(memory);
    }
  } finally {
    if (devices !== undefined) closeSync(devices);
  }
}

async function bootAndSave(boot: CommandLine, devices: string, memory: string, halted: Promise<never>): Promise<void> {
  const fd = emptyMemfd('guest');
  const qemu = new Qemu(boot, fd);
  try {
    const save = async (): Promise<void> => {
      // The guest's only line yet: it waits for its order.
      await once(qemu.lines('ctl'), 'line');
      await (await Monitor.connect(qemu)).save(devices);
    };
    await Promise.race([save(), qemu.ended, halted]);
    copyMemory(pathOf(fd), memory);
  } finally {
    await qemu.end();
    closeSync(fd);
  }
}

/** cp(1) finds the holes, of a GiB all but a tenth, without reading them. */
function copyMemory(from: string, to: string): void {
  const args = ['--sparse=always', '--', from, to];
  const { status, stderr, error } = spawnSync('cp', args, { encoding: 'utf8', timeout: COPY_TIMEOUT_MS });
  if (status !== 0) throw new Error(stderr?.trim() || `cp: ${error?.message}`);
}

const pathOf = (fd: number): string => `/proc/${process.pid}/fd/${fd}`;

/** Of the command line, in which the files of the guest have names by their content, and of this QEMU. */
function keyOf({ args }: CommandLine): string {
  const hash = createHash('sha256').update(JSON.stringify(args));
  const qemu = programPath('qemu-system-x86_64');
  if (qemu !== undefined) {
    const { size, mtimeMs } = statSync(qemu);
    hash.update(`${size} ${mtimeMs}`);
  }
  return hash.digest('hex').slice(0, 16);
}
