/** What a process holds, read from outside: to see that nothing is more of it after a hundred faults than before. */
import { readdirSync, readFileSync } from 'node:fs';

export interface Reading {
  readonly fds: number;
  readonly threads: number;
  /** Mappings of shared memory: packet memories, ours and the peers'. */
  readonly shared: number;
  /** All mappings; V8's come and go. */
  readonly mappings: number;
  /** KiB in memory: of its own, and shared. */
  readonly ownKb: number;
  readonly sharedKb: number;
}

export function read(pid: number): Reading {
  const folder = `/proc/${pid}`;
  const maps = readFileSync(`${folder}/maps`, 'utf8').trimEnd().split('\n');
  const status = readFileSync(`${folder}/status`, 'utf8');
  const kb = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  return {
    fds: readdirSync(`${folder}/fd`).length,
    threads: readdirSync(`${folder}/task`).length,
    shared: maps.filter((line) => /^\S+ ..(?:.)s .*(?:memfd|hugepage)/.test(line)).length,
    mappings: maps.length,
    ownKb: kb('RssAnon'),
    sharedKb: kb('RssShmem'),
  };
}

/** Hugepages of 2 MiB that nobody uses. */
export function freeHugepages(): number {
  return Number(/^HugePages_Free:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]);
}

/** More mappings than V8 comes and goes with. */
const MAPPINGS_SLACK = 60;
/** Pages of mappings that are touched for the first time, in KiB: less than one packet memory. */
const SHARED_SLACK_KB = 8 * 1024;
/** What a heap that has not been collected for a while may have grown by, in KiB. */
const OWN_SLACK_KB = 48 * 1024;

/** What is more `now` than `before`, a line each. */
export function leaksOf(name: string, before: Reading, now: Reading): string[] {
  const grown = (what: keyof Reading, slack = 0): string[] =>
    now[what] > before[what] + slack ? [`${name}: ${what} ${before[what]} -> ${now[what]}`] : [];
  return [
    ...grown('fds'),
    ...grown('threads'),
    ...grown('shared'),
    ...grown('sharedKb', SHARED_SLACK_KB),
    ...grown('mappings', MAPPINGS_SLACK),
    ...grown('ownKb', OWN_SLACK_KB),
  ];
}
