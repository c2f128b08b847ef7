/**
 * Finds the process that uses a unix socket. A script asks before it removes the file, so that it does not cut off a
 * running switch.
 *
 * Whether the socket is in use is known exactly: the kernel answers for this file, in any network namespace. The
 * process is only looked up in /proc for the message. It may stay unknown, in another network namespace or if it is
 * another user's.
 */
import { lstatSync, readFileSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { isSocketInUse } from '../../drivers/libc/index.js';
import { quoted } from '../../drivers/log/safe-text.js';
import { END, outputWithin } from './bounded-output.js';

/** A line of /proc/net/unix with a path; before the path are flags, type, state and inode. */
const BOUND = /^\S+ \S+ \S+ (\S+) \S+ \S+ +(\d+) (.+)$/;
/** The flag of a listening socket (__SO_ACCEPTCON). */
const LISTENING = 0x10000;
/**
 * Largest number of sockets that are looked at. Only an attacker has more with the same file name, to make this slow.
 */
const MAX_LISTENERS = 100;
/** Time limit of {@link FIND_USERS}, in ms. It takes some 60 ms if nothing hangs. */
const LOOK_MS = 2000;

/**
 * A program that finds the processes with one of the sockets `listeners` (`socket:[inode]` -> the path to which it is
 * bound) at the path `real`, and writes a line `PID command` for each, with the command as JSON. It runs in a process
 * of its own, because it can hang when it reads about another process, or a path on a file system whose server does not
 * answer. Entries of /proc that cannot be read, or have just disappeared, are skipped.
 */
const FIND_USERS = `
const { readFileSync, readdirSync, readlinkSync, realpathSync, writeSync } = require('node:fs');
const { resolve } = require('node:path');
const { listeners, real } = JSON.parse(process.argv[1]);
const or = (otherwise, read, ...args) => { try { return read(...args); } catch { return otherwise; } };
// A process may have bound its socket to a relative path, or by another name of the folder.
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

/**
 * Returns a line that says which process uses the socket and what to do about it; null if none does, or the file is no
 * socket.
 */
export function socketInUse(path: string): string | null {
  const user = userOf(path);
  if (user === null) return null;
  return `the socket ${path} is in use by ${user}: stop that process first, or use another name for the socket`;
}

function userOf(path: string): string | null {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return null;
  const inUse = isSocketInUse(path);
  if (inUse === false) return null;
  const users = processesAt(path);
  if (users.length > 0) return users.join(' or ');
  // `null`: the kernel does not tell, because this user may not connect. Then only processes that were found count.
  return inUse === null ? null : 'another process';
}

/** The processes that listen on a socket at this path. There are several if one has replaced the file of another. */
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

/** The listening sockets that are bound to a path with this last part, by the text of their links in /proc/PID/fd. */
function listenersNamed(name: string): [link: string, bound: string][] {
  const listeners: [string, string][] = [];
  for (const line of boundSockets().split('\n')) {
    const [, flags = '', inode = '', bound = ''] = BOUND.exec(line) ?? [];
    const listens = (Number.parseInt(flags, 16) & LISTENING) !== 0;
    // An abstract name, which has no file, begins with @.
    if (listens && !bound.startsWith('@') && basename(bound) === name) listeners.push([`socket:[${inode}]`, bound]);
  }
  return listeners.slice(0, MAX_LISTENERS);
}

/** The text of /proc/net/unix; empty if it cannot be read. */
function boundSockets(): string {
  try {
    return readFileSync('/proc/net/unix', 'utf8');
  } catch {
    return '';
  }
}
