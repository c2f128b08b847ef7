/** Whether the contestants get hugepages: all of them do, or none, so that neither side has what the other lacks. */
import { readHugepages } from '../../drivers/memory/index.js';

/** Of 2 MiB: four testpmd of 64 MiB each, ours of 16 MiB, and some over. */
const PAGES = 160;

let decided: boolean | undefined;

/** Decided at the first call, for the whole run: contestants that have started have taken some. */
export function hasHugepages(): boolean {
  decided ??= readHugepages().free >= PAGES;
  return decided;
}

/** Said before contestants run without. */
export const NO_HUGEPAGES = `without hugepages, all contestants alike ('sysctl vm.nr_hugepages=${2 * PAGES}' reserves enough)`;
