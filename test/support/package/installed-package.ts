/** The package as its users have it: packed, and installed by npm into an empty project. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from '../resources.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const NPM_TIMEOUT_MS = 120_000;

/** The environment of a shell, without the variables that npm and vitest give to the programs that they start. */
export const shellEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(npm_(package|lifecycle)_|VITEST|NODE_ENV$|NODE_OPTIONS$|FORCE_COLOR$)/.test(name),
    ),
  );

function npm(folder: string, ...args: string[]): string {
  return execFileSync('npm', args, {
    cwd: folder,
    env: shellEnvironment(),
    encoding: 'utf8',
    timeout: NPM_TIMEOUT_MS,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

export class InstalledPackage {
  private constructor(
    /** The project: its `node_modules` has the package. */
    readonly folder: string,
    /** The files of the package. */
    readonly files: readonly string[],
    readonly tarballBytes: number,
    /** Removes the project. */
    readonly remove: () => void,
  ) {}

  /** Packs what was built, and installs it. Needs npm's cache or its registry for koffi. */
  static create(): InstalledPackage {
    const directory = temporaryDirectory();
    const packed = join(directory.path, 'packed');
    const folder = join(directory.path, 'project');
    mkdirSync(packed);
    mkdirSync(folder);
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    // The build was made before the tests: a build now would remove files from tests that run.
    const [tarball] = JSON.parse(npm(ROOT, 'pack', '--json', '--ignore-scripts', '--pack-destination', packed));
    npm(folder, 'install', '--prefer-offline', '--no-audit', '--no-fund', join(packed, tarball.filename));
    const files = (tarball.files as { path: string }[]).map(({ path }) => path);
    return new InstalledPackage(folder, files, tarball.size, directory.remove);
  }

  /** The path of a file of the package. */
  file(path: string): string {
    return join(this.folder, 'node_modules', 'tspmd', path);
  }

  read(path: string): string {
    return readFileSync(this.file(path), 'utf8');
  }

  /** Program and arguments of `npx tspmd …`. */
  command(...args: string[]): [string, ...string[]] {
    return [process.execPath, join(this.folder, 'node_modules', '.bin', 'tspmd'), ...args];
  }

  /** Writes a file of the project. Returns its path. */
  write(path: string, text: string): string {
    const file = join(this.folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  }
}
