/** Tells which programs and files this machine has, before something is started that needs them. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Returns the path of a program that `Child.spawn` can start; undefined when it is not installed. */
export function programPath(name: string): string | undefined {
  // dpdk-testpmd and ip may be in the sbin folders, which are not in a user's PATH.
  const folders = `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`.split(delimiter);
  return folders.map((folder) => join(folder, name)).find((path) => isAccessible(path, constants.X_OK));
}

/** Tells whether `Child.spawn` can start a program. */
export function isInstalled(name: string): boolean {
  return programPath(name) !== undefined;
}

/** Tells whether a file or device can be read and written. */
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
