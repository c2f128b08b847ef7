/** Which CPUs this machine has, and which of them this process may use, in the format of the kernel: `0-3,8`. */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

const ONLINE = '/sys/devices/system/cpu/online';
const STATUS = '/proc/self/status';

/** The CPUs that are online. */
export function onlineCpus(): string {
  try {
    return readFileSync(ONLINE, 'utf8').trim();
  } catch {
    // A container without sysfs.
    const last = cpus().length - 1;
    return last > 0 ? `0-${last}` : '0';
  }
}

/** The CPUs that this process may run on; empty if the kernel does not tell. */
export function allowedCpus(): string {
  return /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync(STATUS, 'utf8'))?.[1] ?? '';
}

/** Whether `cpu` is in a list such as `0-3,8`. */
export function isListed(list: string, cpu: number): boolean {
  return list.split(',').some((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return cpu >= first && cpu <= last;
  });
}
