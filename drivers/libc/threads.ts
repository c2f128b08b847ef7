/** The calling thread: its core and its name. */
import { access } from 'node:fs/promises';
import * as c from './constants.js';
import { check } from './errors.js';
import { native } from './ffi/native.js';
import { cString } from './files.js';

const CPU_SET_BYTES = 128;

/** The cores that this thread could use before it was pinned, and its core since then; null while it is not pinned. */
let pin: { readonly before: Uint8Array; readonly since: Uint8Array } | null = null;

const cpuSet = (): Uint8Array => new Uint8Array(new ArrayBuffer(CPU_SET_BYTES));

/** Pins the calling thread (not the process) to one core. */
export function pinThread(core: number): void {
  if (!Number.isInteger(core) || core < 0 || core >= CPU_SET_BYTES * 8) {
    throw new Error(`core ${core}: not a core number (0 to ${CPU_SET_BYTES * 8 - 1})`);
  }
  const before = pin?.before ?? cpuSet();
  if (pin === null) check(native.schedGetaffinity(0, CPU_SET_BYTES, before), 'sched_getaffinity', 'this thread');
  const since = cpuSet();
  since[core >> 3] = 1 << (core & 7);
  check(native.schedSetaffinity(0, CPU_SET_BYTES, since), 'sched_setaffinity', `core ${core}`);
  pin = { before, since };
}

/**
 * Calls `start`, which starts a thread. The new thread may use the cores that this thread could use before it was
 * pinned, so that it need not share the core of a loop that spins. This thread does not move meanwhile, because its
 * core is among them.
 */
export function startUnpinned<T>(start: () => T): T {
  if (pin === null) return start();
  native.schedSetaffinity(0, CPU_SET_BYTES, pin.before);
  try {
    return start();
  } finally {
    native.schedSetaffinity(0, CPU_SET_BYTES, pin.since);
  }
}

/**
 * Pins a thread that is about to poll. The threads of libuv's pool inherit the core of the thread that starts them.
 * With koffi one of them waits for the peers' kicks, and must not share the core of a loop that spins. So the pool is
 * started first.
 */
export async function pinPollingThread(core: number): Promise<void> {
  await access('/');
  try {
    pinThread(core);
  } catch (error) {
    throw new Error(
      `cannot run on core ${core}: ${(error as Error).message}; check that this process may use that core`,
    );
  }
}

/** Names the calling thread, as `top -H` shows it. The kernel keeps 15 bytes. */
export function nameThread(name: string): void {
  native.prctlName(c.PR_SET_NAME, cString(name.slice(0, 15)));
}
