/** Which CPUs this machine has, and which of them this process may use: as the kernel lists them, `0-3,8`. */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

const ONLINE = '/sys/devices/system/cpu/online';
const STATUS = '/proc/self/status';

/** The CPUs that are there. */
export function onlineCpus(): string {
  try {
    return readFileSync(ONLINE, 'utf8').trim();
  } catch {
    // A container without sysfs.
    const last = cpus().length - 1;
    return last > 0 ? `0-${last}` : '0';
  }
}

/** The CPUs that this process was started on; empty where the kernel does not tell. */
export function allowedCpus(): string {
  return /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync(STATUS, 'utf8'))?.[1] ?? '';
}

/** Whether `cpu` is in a list of the kernel's. */
export function isListed(list: string, cpu: number): boolean {
  return list.split(',').some((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return cpu >= first && cpu <= last;
  });
}
