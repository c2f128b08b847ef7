/** Which CPUs the contestants run on, and how much of them each process got. */
import { readFileSync } from 'node:fs';

/** The CPUs that this process may use, in order. */
export function allowedCpus(): number[] {
  const list = readFileSync('/proc/self/status', 'utf8').match(/^Cpus_allowed_list:\s*(\S+)/m)?.[1] ?? '0';
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** The CPU of whatever the contestants have in common (a backend, a load), and that of the contestants: the first two. */
export function benchCpus(): { common: number; contestant: number } {
  const [common = 0, contestant = common] = allowedCpus();
  return { common, contestant };
}

/** The kernel's clock tick in /proc, USER_HZ: 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Seconds of CPU that a process has used, all its threads together, to a hundredth. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // After the name, which may hold anything: state is field 3, utime 14, stime 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Seconds that the hypervisor gave to others while this machine's CPUs wanted to run. */
export function stolenSeconds(): number {
  const fields = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0].trim().split(/\s+/);
  return Number(fields[8] ?? 0) / TICKS_PER_SECOND;
}
