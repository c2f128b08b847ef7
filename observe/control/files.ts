/**
 * The files of control sockets: each is named after its process, in the runtime folder of the user or in /tmp.
 */
import { accessSync, constants, lstatSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { PROCESS_KINDS, type ProcessKind } from './process-info.js';

const NAME = new RegExp(`^tspmd-(${PROCESS_KINDS.join('|')})-([1-9]\\d{0,9})\\.sock$`);
/** The runtime folders of all users are in here. */
const RUNTIME_FOLDERS = '/run/user';

/** The file of a control socket. */
export interface ControlFile {
  readonly kind: ProcessKind;
  readonly pid: number;
  readonly path: string;
  /** User id of the owner. */
  readonly owner: number;
}

/**
 * Returns the folders that may hold control sockets of this user; new sockets go into the first. os.tmpdir() is not used,
 * because it depends on TMPDIR: a process and those who ask it must use the same folder.
 */
export function controlFolders(): string[] {
  const ours = process.env.XDG_RUNTIME_DIR ?? '';
  if (ours === '' || ours === '/tmp') return ['/tmp'];
  return isWritable(ours) ? [ours, '/tmp'] : ['/tmp', ours];
}

/** Returns the folders to look for processes in: root also looks into the runtime folders of all users. */
export function searchedFolders(): string[] {
  const all = process.getuid?.() === 0 ? namesIn(RUNTIME_FOLDERS).map((user) => join(RUNTIME_FOLDERS, user)) : [];
  return [...new Set([...controlFolders(), ...all])];
}

/** Returns the path of the control socket of a process in a folder. */
export function controlPath(folder: string, kind: ProcessKind, pid: number): string {
  return join(folder, `tspmd-${kind}-${pid}.sock`);
}

/** Returns the control sockets in these folders, of all users and also of dead processes, ordered by process id. */
export function controlFiles(folders: readonly string[]): ControlFile[] {
  return folders.flatMap(filesIn).sort((one, other) => one.pid - other.pid);
}

/**
 * Whether this user may ask the process: it is this user's, or this user is root. Others may not ask, although anyone can
 * put a socket into /tmp.
 */
export function mayAsk({ owner }: ControlFile): boolean {
  const user = process.getuid?.();
  return user === 0 || owner === user;
}

/** Removes a control socket on which no process listens, if this user may. Does nothing if there is no such file. */
export function removeStale(path: string): void {
  try {
    const status = lstatSync(path);
    if (status.isSocket() && status.uid === process.getuid?.()) unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Whether a process exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Whether this user may make files in a folder. `su` and `sudo` keep XDG_RUNTIME_DIR, so it may be another user's. */
function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Returns the names in a folder; none if it cannot be read. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function filesIn(folder: string): ControlFile[] {
  return namesIn(folder).flatMap((name) => {
    const [, kind, pid] = NAME.exec(name) ?? [];
    if (pid === undefined) return [];
    const path = join(folder, name);
    const status = lstatSync(path, { throwIfNoEntry: false });
    return status?.isSocket() ? [{ kind: kind as ProcessKind, pid: Number(pid), path, owner: status.uid }] : [];
  });
}
