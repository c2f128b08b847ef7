/** What a process holds, read from outside: to see that nothing is more of it after a hundred faults than before. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Scene } from './scene.js';

interface Reading {
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

function read(pid: number): Reading {
  const folder = `/proc/${pid}`;
  const maps = readFileSync(`${folder}/maps`, 'utf8').trimEnd().split('\n');
  const status = readFileSync(`${folder}/status`, 'utf8');
  const kb = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  return {
    fds: readdirSync(`${folder}/fd`).length,
    threads: readdirSync(`${folder}/task`).length,
    shared: maps.filter((line) => /^\S+ ..(?:.)s .*(?:memfd|hugepage)/.test(line)).length,
    mappings: maps.filter((line) => FILE_MAPPING.test(line)).length,
    ownKb: kb('RssAnon'),
    sharedKb: kb('RssShmem'),
  };
}

/** Hugepages of 2 MiB that nobody uses. */
function freeHugepages(): number {
  return Number(/^HugePages_Free:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]);
}

/** Pages of mappings that are touched for the first time, in KiB: less than one packet memory. */
const SHARED_SLACK_KB = 8 * 1024;
/** What a heap that has not been collected for a while may have grown by, in KiB. */
const OWN_SLACK_KB = 48 * 1024;

/** What is more `now` than `before`, a line each. */
function leaksOf(name: string, before: Reading, now: Reading): string[] {
  const grown = (what: keyof Reading, slack = 0): string[] =>
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

/** What a whole scene holds, at rest. */
export interface Stock {
  readonly readings: ReadonlyMap<string, Reading>;
  readonly files: readonly string[];
  readonly hugepages: number;
  /** Bytes of heap in use after a full collection, by endpoint. */
  readonly heaps: ReadonlyMap<number, number>;
}

/** @param pids of the processes to look at, by name */
export async function takeStock(scene: Scene, pids: ReadonlyMap<string, number>): Promise<Stock> {
  const heaps = new Map<number, number>();
  for (const endpoint of scene.running()) {
    heaps.set(endpoint, (await scene.conductor.report(endpoint, 'collect')).heap);
  }
  const readings = new Map([...pids].map(([name, pid]) => [name, read(pid)]));
  return { readings, files: scene.files(), hugepages: freeHugepages(), heaps };
}

/** What is more than before, or left over, a line each. */
export function leaksBetween(before: Stock, now: Stock): string[] {
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
