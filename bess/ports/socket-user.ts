/**
 * Which process uses a unix socket: asked before a script removes the file, so that it does not cut off a live switch.
 *
 * Whether the socket is in use is the kernel's exact answer for this very file, of any network namespace. Who uses it is
 * looked up in /proc for the message alone, and may stay unknown: another network namespace, or another user's process.
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { isSocketInUse } from '../../drivers/libc/index.js';
import { quoted } from '../../drivers/log/safe-text.js';

/** A line of /proc/net/unix that has a path: flags, type, state and inode before it. */
const BOUND = /^\S+ \S+ \S+ (\S+) \S+ \S+ +(\d+) (.+)$/;
/** The flag of a listening socket (__SO_ACCEPTCON). */
const LISTENING = 0x10000;

/** That a process uses the socket, which one, and what to do, as one line; null when nobody does, or the file is no socket. */
export function socketInUse(path: string): string | null {
  const user = userOf(path);
  if (user === null) return null;
  return `the socket ${path} is in use by ${user}: stop that process first, or take a socket of another name`;
}

function userOf(path: string): string | null {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return null;
  const inUse = isSocketInUse(path);
  if (inUse === false) return null;
  const users = processesAt(path);
  if (users.length > 0) return users.join(' or ');
  // The kernel does not say: this user may not connect to the socket. Then only a listed listener counts.
  return inUse === null ? null : 'another process';
}

/** The processes that listen on a socket bound to this path. Several when one has lost its file to another. */
function processesAt(path: string): string[] {
  const listeners = new Map<string, string>();
  for (const line of read('/proc/net/unix').split('\n')) {
    const [, flags = '', inode = '', bound = ''] = BOUND.exec(line) ?? [];
    // An abstract name, which has no file, begins with @.
    const listens = (Number.parseInt(flags, 16) & LISTENING) !== 0;
    if (listens && !bound.startsWith('@')) listeners.set(`socket:[${inode}]`, bound);
  }
  const real = realpathSync(path);
  const users: string[] = [];
  for (const pid of listeners.size === 0 ? [] : namesIn('/proc').filter((name) => /^\d+$/.test(name))) {
    const isUser = namesIn(`/proc/${pid}/fd`).some((fd) => {
      const bound = listeners.get(linkOf(`/proc/${pid}/fd/${fd}`));
      return bound !== undefined && isPath(bound, pid, real);
    });
    if (isUser) users.push(pid === String(process.pid) ? 'this process' : `process ${pid} (${quoted(commandOf(pid))})`);
  }
  return users;
}

/** A process may have bound its socket by a relative path, or through another name of the folder. */
function isPath(bound: string, pid: string, real: string): boolean {
  try {
    return realpathSync(resolve(linkOf(`/proc/${pid}/cwd`), bound)) === real;
  } catch {
    return false;
  }
}

function commandOf(pid: string): string {
  const command = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
  return command === '' ? read(`/proc/${pid}/comm`).trim() : command;
}

// Whatever of /proc may not be read, or has just gone, is as good as not there.

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
