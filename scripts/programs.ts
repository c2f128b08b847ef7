/** What this machine has, asked before something is started that needs it. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where a program lies that `Child.spawn` finds. */
export function programPath(name: string): string | undefined {
  // dpdk-testpmd and ip may lie in the sbin folders, which a user's PATH leaves out.
  const folders = `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`.split(delimiter);
  return folders.map((folder) => join(folder, name)).find((path) => isAccessible(path, constants.X_OK));
}

/** Whether a program is there for `Child.spawn`. */
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
