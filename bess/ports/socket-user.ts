/**
 * Which process uses a unix socket: asked before a script removes the file, so that it does not cut off a live switch.
 *
 * Whether the socket is in use is the kernel's exact answer for this very file, of any network namespace. Who uses it is
 * looked up in /proc for the message alone, and may stay unknown: another network namespace, or another user's process.
 */
import { lstatSync, readFileSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { isSocketInUse } from '../../drivers/libc/index.js';
import { quoted } from '../../drivers/log/safe-text.js';
import { END, outputWithin } from './bounded-output.js';

/** A line of /proc/net/unix that has a path: flags, type, state and inode before it. */
const BOUND = /^\S+ \S+ \S+ (\S+) \S+ \S+ +(\d+) (.+)$/;
/** The flag of a listening socket (__SO_ACCEPTCON). */
const LISTENING = 0x10000;
/** More sockets whose names end alike than anybody has who is not out to make this slow. */
const MAX_LISTENERS = 100;
/** The look takes some 60 ms where nothing hangs. */
const LOOK_MS = 2000;

/**
 * Looks for the processes that have one of the sockets `listeners` (`socket:[inode]` to the name that it is bound to) at the path
 * `real`, and writes a line `PID command` for each, the command as JSON. It is a program of its own because a look at another
 * process, or a path on a file system whose server does not answer, can hang. What of /proc may not be read, or has just gone,
 * is as good as not there.
 */
const FIND_USERS = `
const { readFileSync, readdirSync, readlinkSync, realpathSync, writeSync } = require('node:fs');
const { resolve } = require('node:path');
const { listeners, real } = JSON.parse(process.argv[1]);
const or = (otherwise, read, ...args) => { try { return read(...args); } catch { return otherwise; } };
// A process may have bound its socket by a relative path, or through another name of the folder.
const isHere = (bound, pid) => or('', realpathSync, resolve(or('/', readlinkSync, '/proc/' + pid + '/cwd'), bound)) === real;
for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))) {
  const isUser = or([], readdirSync, '/proc/' + pid + '/fd').some((fd) => {
    const bound = listeners[or('', readlinkSync, '/proc/' + pid + '/fd/' + fd)];
    return bound !== undefined && isHere(bound, pid);
  });
  if (!isUser) continue;
  const command = or('', readFileSync, '/proc/' + pid + '/cmdline', 'utf8').replaceAll('\\0', ' ').trim();
  const name = command || or('', readFileSync, '/proc/' + pid + '/comm', 'utf8').trim();
  writeSync(1, pid + ' ' + JSON.stringify(name) + '\\n');
}
writeSync(1, ${JSON.stringify(END)});
`;

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
  const real = realpathSync(path);
  const listeners = listenersNamed(basename(real));
  if (listeners.length === 0) return [];
  const argument = JSON.stringify({ listeners: Object.fromEntries(listeners), real });
  return Array.from(
    outputWithin(LOOK_MS, FIND_USERS, argument).matchAll(/^(\d+) ([^\n]*)\n/gm),
    ([, pid, command = '']) =>
      pid === String(process.pid) ? 'this process' : `process ${pid} (${quoted(JSON.parse(command))})`,
  );
}

/** The listening sockets that are bound to a path with this last part, as the links in /proc/PID/fd have them. */
function listenersNamed(name: string): [link: string, bound: string][] {
  const listeners: [string, string][] = [];
  for (const line of allListed().split('\n')) {
    const [, flags = '', inode = '', bound = ''] = BOUND.exec(line) ?? [];
    const listens = (Number.parseInt(flags, 16) & LISTENING) !== 0;
    // An abstract name, which has no file, begins with @.
    if (listens && !bound.startsWith('@') && basename(bound) === name) listeners.push([`socket:[${inode}]`, bound]);
  }
  return listeners.slice(0, MAX_LISTENERS);
}

/** Nothing, where /proc does not show it. */
function allListed(): string {
  try {
    return readFileSync('/proc/net/unix', 'utf8');
  } catch {
    return '';
  }
}
