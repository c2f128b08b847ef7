/** Tells which programs and files this machine has, before something is started that needs them. */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/** The PATH for programs, with the sbin folders that a user's PATH lacks: dpdk-testpmd and ip may be there. */
export function searchPath(path = process.env.PATH ?? ''): string {
  return `${path}:/usr/sbin:/sbin`;
}

/** Returns the path of a program that `Child.spawn` can start; undefined when it is not installed. */
export function programPath(name: string): string | undefined {
  const folders = searchPath().split(':');
  return folders.map((folder) => join(folder, name)).find((path) => isAccessible(path, constants.X_OK));
}

/** Whether `Child.spawn` can start a program. */
export function isInstalled(name: string): boolean {
  return programPath(name) !== undefined;
}

/** Whether a file or device can be read and written. */
export function isReadWrite(path: string): boolean {
  return isAccessible(path, constants.R_OK | constants.W_OK);
}

function isAccessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
