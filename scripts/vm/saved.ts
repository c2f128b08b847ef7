/**
 * Saved machines: machines that have booted, but have mounted nothing and got no order yet. A saved machine consists of
 * the state of its devices, and its memory in a sparse file. Resuming it takes a fraction of the time of a boot.
 *
 * The folder of the built guest has one saved machine per shape of machine. It is complete or absent.
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
  /** Path of the file with the state of the devices. */
  readonly devices: string;
  /** Path of the file with the memory. */
  readonly memory: string;
}

/** Returns the saved machine for a command line. If no earlier run has saved it, boots and saves it now. */
export async function savedMachine(guest: string, boot: CommandLine, halted: Promise<never>): Promise<Saved> {
  const folder = join(guest, `${PREFIX}${keyOf(boot)}`);
  const saved = { devices: join(folder, 'devices'), memory: join(folder, 'memory') };
  if (existsSync(folder)) return saved;
  // Made in a temporary folder and renamed, because another run may do the same at the same time.
  const work = mkdtempSync(join(guest, UNFINISHED));
  try {
    const made = join(work, 'made');
    mkdirSync(made);
    await bootAndSave(boot, join(made, 'devices'), join(made, 'memory'), halted);
    try {
      renameSync(made, folder);
    } catch (error) {
      // Another run was faster and has made the same folder.
      if (!existsSync(folder)) throw error;
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return saved;
}

/**
 * Removes the saved machines of a built guest, and files that killed runs have left. They are made again when needed.
 */
export function removeSavedMachines(guest: string): void {
  for (const name of readdirSync(guest)) {
    if (name.startsWith(PREFIX) || name.startsWith(UNFINISHED)) rmSync(join(guest, name), { recursive: true });
  }
}

/** Starts a machine from its saved state, or from power-on. */
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
      // The guest's first line tells that it waits for its order.
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

/** Copies memory with cp(1), which skips holes without reading them. Holes are nine tenths of a GiB. */
function copyMemory(from: string, to: string): void {
  const args = ['--sparse=always', '--', from, to];
  const { status, stderr, error } = spawnSync('cp', args, { encoding: 'utf8', timeout: COPY_TIMEOUT_MS });
  if (status !== 0) throw new Error(stderr?.trim() || `cp: ${error?.message}`);
}

const pathOf = (fd: number): string => `/proc/${process.pid}/fd/${fd}`;

/**
 * Returns the name of a saved machine: a hash of the command line and of the QEMU program. The names of the guest's
 * files in the command line depend on their content.
 */
function keyOf({ args }: CommandLine): string {
  const hash = createHash('sha256').update(JSON.stringify(args));
  const qemu = programPath('qemu-system-x86_64');
  if (qemu !== undefined) {
    const { size, mtimeMs } = statSync(qemu);
    hash.update(`${size} ${mtimeMs}`);
  }
  return hash.digest('hex').slice(0, 16);
}
