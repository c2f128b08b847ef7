/**
 * The files of control sockets: each is named after the process of its switch, in the user's runtime folder or in /tmp.
 */
import { accessSync, constants, lstatSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

const NAME = /^tspmd-switch-([1-9]\d{0,9})\.sock$/;

/** The file of a control socket. */
export interface ControlFile {
  /** Process id of the switch. */
  readonly pid: number;
  readonly path: string;
  /** User id of the owner. */
  readonly owner: number;
}

/**
 * Returns the folders that may hold control sockets; new sockets go into the first. os.tmpdir() is not used, because it
 * depends on TMPDIR: a switch and the process that asks it must use the same folder.
 */
export function controlFolders(): string[] {
  const ours = process.env.XDG_RUNTIME_DIR ?? '';
  if (ours === '' || ours === '/tmp') return ['/tmp'];
  return isWritable(ours) ? [ours, '/tmp'] : ['/tmp', ours];
}

/** Returns the path of a switch's control socket in a folder. */
export function controlPath(folder: string, pid: number): string {
  return join(folder, `tspmd-switch-${pid}.sock`);
}

/** Returns the control sockets in these folders, of all users and also of dead processes, ordered by process id. */
export function controlFiles(folders: readonly string[]): ControlFile[] {
  return folders.flatMap(filesIn).sort((one, other) => one.pid - other.pid);
}

/** Whether a socket belongs to this user. Sockets of other users are not trusted: anyone can put a socket into /tmp. */
export function isOurs({ owner }: ControlFile): boolean {
  return owner === process.getuid?.();
}

/** Removes a control socket of this user on which no process listens. Does nothing if there is no such file. */
export function removeStale(path: string): void {
  try {
    const status = lstatSync(path);
    if (status.isSocket() && status.uid === process.getuid?.()) unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Whether a process exists. A process that has just made its socket may not listen on it yet. */
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

/** Returns the control sockets in one folder; none if the folder cannot be read. */
function filesIn(folder: string): ControlFile[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    const pid = NAME.exec(name)?.[1];
    const path = join(folder, name);
    const status = pid === undefined ? undefined : lstatSync(path, { throwIfNoEntry: false });
    return status?.isSocket() ? [{ pid: Number(pid), path, owner: status.uid }] : [];
  });
}
