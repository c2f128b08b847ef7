/**
 * `npm run setup:versions`: downloads the versions of Node and TypeScript that the package is tested with from npm into
 * the cache. It does not touch versions that are there. To update a version, remove its folder first.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { folderOf, isHere, NODES, packageIn, TYPESCRIPTS, type Version, versionsFolder } from './cache.js';

const TRIES = 3;
const TIMEOUT_MS = 10 * 60_000;
const OPTIONS = ['--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--ignore-scripts'];
/** npm waits a minute between two tries by default, which is too long when the registry does not answer. */
const RETRIES = ['--fetch-retries=2', '--fetch-retry-mintimeout=2000', '--fetch-retry-factor=3'];

/** Returns npm's error message as one line. */
function reasonOf(error: unknown): string {
  const { stderr = '', message } = error as Error & { stderr?: string };
  const lines = [...stderr.matchAll(/^npm error (?!code |errno |syscall |type |address |port )(.+)$/gm)];
  return lines[0]?.[1] ?? message;
}

/** Installs a version in a temporary folder and then renames the folder. Returns the exact version. */
function fetch(version: Version): string {
  const work = mkdtempSync(join(versionsFolder(), 'fetch-'));
  try {
    // Without --prefix npm would install to the nearest parent folder with a package.json.
    execFileSync('npm', ['install', '--prefix', work, ...OPTIONS, ...RETRIES, version.specifier], {
      cwd: work,
      encoding: 'utf8',
      timeout: TIMEOUT_MS,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const manifest = JSON.parse(readFileSync(join(packageIn(work, version), 'package.json'), 'utf8'));
    rmSync(folderOf(version), { recursive: true, force: true });
    renameSync(work, folderOf(version));
    return manifest.version;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Downloads a version unless it is in the cache. Returns whether it is there now. */
function provide(version: Version): boolean {
  const { title, specifier } = version;
  for (let left = TRIES; !isHere(version); left--) {
    try {
      console.log(`setup:versions: ${title}: ${fetch(version)} from npm`);
    } catch (error) {
      if (left > 1) continue;
      console.error(`setup:versions: ${title}: cannot get ${specifier} from npm: ${reasonOf(error)}; try again later`);
      return false;
    }
  }
  return true;
}

const versions = [...NODES, ...TYPESCRIPTS];
mkdirSync(versionsFolder(), { recursive: true });
if (versions.every(isHere)) console.log('setup:versions: all versions of Node and TypeScript are here already');
else if (!versions.every(provide)) process.exitCode = 1;
