/** Decides whether contestants use hugepages. Either all of them do, or none. */
import { readHugepages } from '../../drivers/memory/index.js';

/** Hugepages of 2 MiB that contestants need: four testpmd with 64 MiB each, ours with 16 MiB, and a reserve. */
const PAGES = 160;

let decided: boolean | undefined;

/** Whether contestants use hugepages. The first call decides for the whole run, because contestants take hugepages. */
export function hasHugepages(): boolean {
  decided ??= readHugepages().free >= PAGES;
  return decided;
}

/** Printed before contestants run without hugepages. */
export const NO_HUGEPAGES = `no contestant uses hugepages, because too few are free ('sysctl vm.nr_hugepages=${2 * PAGES}' reserves enough)`;
