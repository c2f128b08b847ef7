/** Where the control sockets of switches are: files named after the switch's process, in the folder of its user or in /tmp. */
import { accessSync, constants, lstatSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

const NAME = /^tspmd-switch-([1-9]\d{0,9})\.sock$/;

export interface ControlFile {
  readonly pid: number;
  readonly path: string;
  /** The user id of its owner. */
  readonly owner: number;
}

/**
 * The folders that may hold control sockets, the one for new sockets first. Not os.tmpdir(), which follows TMPDIR: the switch
 * and whoever asks it must look in one place.
 */
export function controlFolders(): string[] {
  const ours = process.env.XDG_RUNTIME_DIR ?? '';
  if (ours === '' || ours === '/tmp') return ['/tmp'];
  return isWritable(ours) ? [ours, '/tmp'] : ['/tmp', ours];
}

export function controlPath(folder: string, pid: number): string {
  return join(folder, `tspmd-switch-${pid}.sock`);
}

/** The control sockets in these folders, of all users, ordered by process; those of dead processes, too. */
export function controlFiles(folders: readonly string[]): ControlFile[] {
  return folders.flatMap(filesIn).sort((one, other) => one.pid - other.pid);
}

/** Anyone may put a socket into /tmp: only those of this user count. */
export function isOurs({ owner }: ControlFile): boolean {
  return owner === process.getuid?.();
}

/** Removes a control socket of this user on which nobody listens any more. */
export function removeStale(path: string): void {
  try {
    const status = lstatSync(path);
    if (status.isSocket() && status.uid === process.getuid?.()) unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Whether there is such a process: one that has just made its socket may not listen on it yet. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** A folder may belong to somebody else: `su` and `sudo` leave the variable as it was. */
function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

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
