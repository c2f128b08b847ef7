/** What a test counts to see that nothing was left behind, and how it waits for that. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './until.js';

/** Open descriptors of this process. */
export function openFds(): number {
  // One system call from Linux 6.2 on; 0 before. The list includes the descriptor that it is read by.
  return statSync('/proc/self/fd').size || readdirSync('/proc/self/fd').length - 1;
}

/** Waits until no more descriptors are open than `before`: the reactor closes its own when its wait has ended. */
export async function untilFds(before: number): Promise<void> {
  await until(`only ${before} descriptors open`, () => openFds() <= before);
}

/** Mapped bytes of an address range of this process, whatever is mapped there. */
export function mappedBytes(start: number, length: number): number {
  let mapped = 0;
  for (const line of readFileSync('/proc/self/maps', 'utf8').split('\n')) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line);
    if (!range) continue;
    const from = Math.max(start, Number.parseInt(range[1] as string, 16));
    const to = Math.min(start + length, Number.parseInt(range[2] as string, 16));
    if (to > from) mapped += to - from;
  }
  return mapped;
}

/** Names of the threads of a process. */
export function threadNames(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).map((task) => readFileSync(`/proc/${pid}/task/${task}/comm`, 'utf8').trim());
}

/** A new directory for a test, and the function that removes it. */
export function temporaryDirectory(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'tspmd-test-'));
  return { path, remove: () => existsSync(path) && rmSync(path, { recursive: true, force: true }) };
}
