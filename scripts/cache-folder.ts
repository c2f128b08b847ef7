/** The folder for files that the project downloads and builds for its tests. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Returns a folder in the cache of the project, such as `~/.cache/tspmd/vm`. */
export const cacheFolder = (name: string): string =>
  join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tspmd', name);
