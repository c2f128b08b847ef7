/**
 * How long processes that spin waited for their CPU, because the scheduler gave it to somebody else. Each wait is a gap in which
 * all packets are late, so it explains a tail, whose fault it is or not.
 */
import { readdirSync, readFileSync } from 'node:fs';

export interface Waits {
  readonly ms: number;
  /** How often the thread got its CPU again. */
  readonly times: number;
}

interface Thread {
  readonly ranNs: number;
  readonly waitedNs: number;
  readonly slices: number;
}

type Threads = ReadonlyMap<string, Thread>;

/** Looks at the threads of a process; null where the kernel does not count (CONFIG_SCHED_INFO). */
export function threadsOf(pid: number): Threads | null {
  try {
    const tasks = `/proc/${pid}/task`;
    return new Map(readdirSync(tasks).map((task) => [task, parse(readFileSync(`${tasks}/${task}/schedstat`, 'utf8'))]));
  } catch {
    return null;
  }
}

/** The waits between two looks, of the thread that ran most: the one that spins. */
export function waitsBetween(before: Threads | null, after: Threads | null): Waits | null {
  if (before === null || after === null) return null;
  let most = -1;
  let waits: Waits | null = null;
  for (const [task, { ranNs, waitedNs, slices }] of after) {
    const first = before.get(task) ?? NONE;
    if (ranNs - first.ranNs <= most) continue;
    most = ranNs - first.ranNs;
    waits = { ms: (waitedNs - first.waitedNs) / 1e6, times: slices - first.slices };
  }
  return waits;
}

/** All waits of some windows together; null when one is not known. */
export function sumOf(waits: readonly (Waits | null)[]): Waits | null {
  let ms = 0;
  let times = 0;
  for (const each of waits) {
    if (each === null) return null;
    ms += each.ms;
    times += each.times;
  }
  return { ms: Number(ms.toFixed(2)), times };
}

const NONE: Thread = { ranNs: 0, waitedNs: 0, slices: 0 };

/** proc(5): time on the CPU and time spent waiting, in ns, and the number of time slices. */
function parse(text: string): Thread {
  const [ranNs = 0, waitedNs = 0, slices = 0] = text.split(' ').map(Number);
  return { ranNs, waitedNs, slices };
}
