/** The CPUs for the contestants, and the CPU time that a process has used. */
import { readFileSync } from 'node:fs';
import { parseThreadStat } from '../../drivers/libc/index.js';

/** Returns the CPUs that this process may use, in ascending order. */
export function allowedCpus(): number[] {
  const list = readFileSync('/proc/self/status', 'utf8').match(/^Cpus_allowed_list:\s*(\S+)/m)?.[1] ?? '0';
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/**
 * Returns the first CPU for the process that contestants share (a backend, a load), and the second one for contestants.
 */
export function benchCpus(): { common: number; contestant: number } {
  const [common = 0, contestant = common] = allowedCpus();
  return { common, contestant };
}

/** Clock ticks per second in /proc (USER_HZ): 100 on every architecture that Node supports. */
const TICKS_PER_SECOND = 100;

/** Returns the CPU time of all threads of a process in seconds, in steps of a hundredth. */
export function cpuSeconds(pid: number): number {
  return parseThreadStat(readFileSync(`/proc/${pid}/stat`, 'utf8')).cpuMs / 1000;
}

/** Returns for how many seconds the hypervisor ran something else while the CPUs of this machine had work. */
export function stolenSeconds(): number {
  const fields = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0].trim().split(/\s+/);
  return Number(fields[8] ?? 0) / TICKS_PER_SECOND;
}
