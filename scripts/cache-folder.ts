/** Where the project keeps what it downloads and builds for its tests. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** A folder of the project's cache, such as `~/.cache/tspmd/vm`. */
export const cacheFolder = (name: string): string =>
  join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tspmd', name);
