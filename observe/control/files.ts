/**
 * The files of control sockets: each is named after its process, in the runtime folder of the user or in /tmp.
 */
import { lstatSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { PROCESS_KINDS, type ProcessKind } from './process-info.js';

const NAME = new RegExp(`^tspmd-(${PROCESS_KINDS.join('|')})-([1-9]\\d{0,9})\\.sock$`);
/** The runtime folders of all users are in here. */
const RUNTIME_FOLDERS = '/run/user';
/** The runtime folders of services are in here: systemd/, docs/service.md. */
const SERVICE_FOLDERS = '/run/tspmd';
/** The most services whose folders are looked into. */
const MAX_SERVICES = 256;

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
  const folder = process.env.XDG_RUNTIME_DIR ?? '';
  return folder !== '' && folder !== '/tmp' && isPrivate(folder) ? [folder, '/tmp'] : ['/tmp'];
}

/**
 * Returns the folders to look for processes in: also the usual runtime folder of this user, for a command that was started
 * without a session, for root those of all users, and those of services.
 */
export function searchedFolders(): string[] {
  const user = process.getuid?.() ?? 0;
  const users = user === 0 ? namesIn(RUNTIME_FOLDERS) : [String(user)];
  const ofUsers = users.map((name) => join(RUNTIME_FOLDERS, name));
  const ofServices = namesIn(SERVICE_FOLDERS).slice(0, MAX_SERVICES);
  return [...new Set([...controlFolders(), ...ofUsers, ...ofServices.map((name) => join(SERVICE_FOLDERS, name))])];
}

/** Returns the path of the control socket of a process in a folder. */
export function controlPath(folder: string, kind: ProcessKind, pid: number): string {
  return join(folder, `tspmd-${kind}-${pid}.sock`);
}

/** Returns the control sockets in these folders, of all users and also of dead processes, ordered by process id. */
export function controlFiles(folders: readonly string[]): ControlFile[] {
  return folders.flatMap(filesIn).sort((one, other) => one.pid - other.pid);
}

/** Whether the process is this user's. */
export const isOurs = ({ owner }: ControlFile): boolean => owner === process.getuid?.();

/**
 * Whether this user may ask the process: it is this user's, or this user is root. Others may not ask, although anyone can
 * put a socket into /tmp.
 */
export function mayAsk(file: ControlFile): boolean {
  return process.getuid?.() === 0 || isOurs(file);
}

/** Removes a control socket of this user on which no process listens, if that is possible. */
export function removeStale(path: string): void {
  try {
    const status = lstatSync(path);
    if (status.isSocket() && status.uid === process.getuid?.()) unlinkSync(path);
  } catch {
    // It is gone, or the file system is read-only.
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

/**
 * Whether a folder is this user's alone. `su` and `sudo` keep XDG_RUNTIME_DIR, so it may be another user's, who could
 * exchange what root makes there.
 */
function isPrivate(folder: string): boolean {
  const status = lstatSync(folder, { throwIfNoEntry: false });
  return status?.isDirectory() === true && status.uid === process.getuid?.() && (status.mode & 0o022) === 0;
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
