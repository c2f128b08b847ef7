/** Resources of a process, read from outside: after a hundred faults it may not have more of them than before. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Testbed } from './testbed.js';

interface ProcessResources {
  readonly fds: number;
  readonly threads: number;
  /** Mappings of shared memory: packet memories, ours and the peers'. */
  readonly shared: number;
  /** Mappings of files, shared or not. V8's, which have none, come and go: its new space alone grows to 128 of them. */
  readonly mappings: number;
  /** KiB in memory: of its own, and shared. */
  readonly ownKb: number;
  readonly sharedKb: number;
}

/** A line of /proc/PID/maps that has an inode. */
const FILE_MAPPING = /^\S+ \S+ \S+ \S+ [1-9]/;

function read(pid: number): ProcessResources {
  const folder = `/proc/${pid}`;
  const maps = readFileSync(`${folder}/maps`, 'utf8').trimEnd().split('\n');
  const status = readFileSync(`${folder}/status`, 'utf8');
  return {
    fds: openDescriptors(pid),
    threads: readdirSync(`${folder}/task`).length,
    shared: maps.filter((line) => /^\S+ ..(?:.)s .*(?:memfd|hugepage)/.test(line)).length,
    mappings: maps.filter((line) => FILE_MAPPING.test(line)).length,
    ownKb: kibOf(status, 'RssAnon'),
    sharedKb: kibOf(status, 'RssShmem'),
  };
}

export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

export interface AddressSpace {
  readonly gib: number;
  readonly mappings: number;
}

/** Addresses that a process has taken, whether or not there are pages behind them. */
export function readAddressSpace(pid: number): AddressSpace {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const maps = readFileSync(`/proc/${pid}/maps`, 'utf8');
  return { gib: Math.round(kibOf(status, 'VmSize') / 2 ** 20), mappings: maps.trimEnd().split('\n').length };
}

const kibOf = (status: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);

/** Hugepages of 2 MiB that nobody uses. */
function freeHugepages(): number {
  return Number(/^HugePages_Free:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]);
}

/** Pages of mappings that are touched for the first time, in KiB: less than one packet memory. */
const SHARED_SLACK_KB = 8 * 1024;
/** What a heap that has not been collected for a while may have grown by, in KiB. */
const OWN_SLACK_KB = 48 * 1024;

/** What is more `now` than `before`, one line each. */
function leaksOf(name: string, before: ProcessResources, now: ProcessResources): string[] {
  const grown = (what: keyof ProcessResources, slack = 0): string[] =>
    now[what] > before[what] + slack ? [`${name}: ${what} ${before[what]} -> ${now[what]}`] : [];
  return [
    ...grown('fds'),
    ...grown('threads'),
    ...grown('shared'),
    ...grown('sharedKb', SHARED_SLACK_KB),
    ...grown('mappings'),
    ...grown('ownKb', OWN_SLACK_KB),
  ];
}

/** The resources of all processes of a testbed, at rest. */
export interface TestbedResources {
  readonly readings: ReadonlyMap<string, ProcessResources>;
  readonly files: readonly string[];
  readonly hugepages: number;
  /** Bytes of heap in use after a full collection, by endpoint. */
  readonly heaps: ReadonlyMap<number, number>;
}

/** @param pids of the processes to look at, by name */
export async function readResources(testbed: Testbed, pids: ReadonlyMap<string, number>): Promise<TestbedResources> {
  const heaps = new Map<number, number>();
  for (const endpoint of testbed.running()) {
    heaps.set(endpoint, (await testbed.control.report(endpoint, 'collect')).heap);
  }
  const readings = new Map([...pids].map(([name, pid]) => [name, read(pid)]));
  return { readings, files: testbed.files(), hugepages: freeHugepages(), heaps };
}

/** What is more than before, or left behind, one line each. */
export function leaksBetween(before: TestbedResources, now: TestbedResources): string[] {
  const lines: string[] = [];
  for (const [name, reading] of before.readings) {
    const other = now.readings.get(name);
    if (other !== undefined) lines.push(...leaksOf(name, reading, other));
  }
  if (now.files.join() !== before.files.join()) {
    lines.push(`sockets: ${before.files.join(' ')} -> ${now.files.join(' ')}`);
  }
  if (now.hugepages < before.hugepages) lines.push(`free hugepages: ${before.hugepages} -> ${now.hugepages}`);
  return lines;
}
