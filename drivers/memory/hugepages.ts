/** Number of hugepages of 2 MiB on this machine, as sysfs counts them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = 'kernel/mm/hugepages/hugepages-2048kB';

export interface Hugepages {
  readonly reserved: number;
  readonly free: number;
}

/** @param sysfs where sysfs is mounted. A kernel without such pages counts 0. */
export function readHugepages(sysfs = '/sys'): Hugepages {
  const read = (file: string): number => {
    try {
      return Number(readFileSync(join(sysfs, FOLDER, file), 'utf8')) || 0;
    } catch {
      return 0;
    }
  };
  return { reserved: read('nr_hugepages'), free: read('free_hugepages') };
}
