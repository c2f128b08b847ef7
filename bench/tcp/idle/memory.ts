/**
 * What connections take from the machine: private memory of the server's process, and for sockets of the kernel the
 * kernel's own.
 */
import { readFileSync } from 'node:fs';

/** Bytes at one moment. */
export interface Memory {
  /** Resident private memory of the process (RssAnon). Packet memory is shared memory, so it is not among it. */
  readonly process: number;
  /** The kernel's slabs, of the whole machine: sockets, inodes, directory entries, files, items of epoll. */
  readonly slab: number;
  /** Memory of the sockets' buffers. */
  readonly buffers: number;
}

const KIB = 1024;
/** What /proc/net/sockstat counts in. */
const PAGE = 4096;

/** Reads the number of a line such as `RssAnon:   123 kB`, in bytes. */
export function kibOf(text: string, name: string): number {
  const [, kib] = text.match(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm')) ?? [];
  if (kib === undefined) throw new Error(`/proc has no ${name}: this needs Linux 4.5 or newer`);
  return Number(kib) * KIB;
}

/** Reads `mem` of the line of TCP, in bytes. */
export function socketBuffers(sockstat: string): number {
  const [, pages] = sockstat.match(/^TCP:.* mem (\d+)/m) ?? [];
  if (pages === undefined) throw new Error('/proc/net/sockstat has no memory of TCP');
  return Number(pages) * PAGE;
}

export function readMemory(pid: number): Memory {
  const machine = readFileSync('/proc/meminfo', 'utf8');
  return {
    process: kibOf(readFileSync(`/proc/${pid}/status`, 'utf8'), 'RssAnon'),
    slab: kibOf(machine, 'SReclaimable') + kibOf(machine, 'SUnreclaim'),
    buffers: socketBuffers(readFileSync(`/proc/net/sockstat`, 'utf8')),
  };
}

/** How much each kind has grown, in bytes per connection. */
export function growth(before: Memory, after: Memory, connections: number): Memory {
  const each = (a: number, b: number): number => Math.round(Math.max(b - a, 0) / connections);
  return {
    process: each(before.process, after.process),
    slab: each(before.slab, after.slab),
    buffers: each(before.buffers, after.buffers),
  };
}
