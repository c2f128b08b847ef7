/** Lists and downloads kernel packages with apt. It installs nothing. */
import { execFileSync } from 'node:child_process';
import { searchPath } from '../programs.js';
import { type GuestPackages, guestPackages, isOfInterest, type PackageVersion, readListing } from './packages.js';

const STEP_TIMEOUT_MS = 10 * 60_000;
/** Debian's metapackage depends on the recommended kernel package. */
const METAPACKAGE = 'linux-image-amd64';
const PREFIXES = ['linux-image-', 'linux-headers-', 'linux-kbuild-', 'linux-source-'];
/** Without this option apt warns that its own user may not write to our folder. */
const DOWNLOAD_OPTIONS = ['-o', 'APT::Sandbox::User=root', '-o', 'Acquire::Retries=3'];

/** apt lists a package, but could not download it. */
export class DownloadError extends Error {
  override readonly name = 'DownloadError';
}

/**
 * Runs a program to its end.
 * @returns its standard output
 * @throws Error with the name and the error output of the program
 */
export function runTool(program: string, args: readonly string[], cwd?: string): string {
  const env = { ...process.env, LC_ALL: 'C', PATH: searchPath() };
  try {
    return execFileSync(program, args, {
      encoding: 'utf8',
      timeout: STEP_TIMEOUT_MS,
      maxBuffer: 1 << 26,
      stdio: ['ignore', 'pipe', 'pipe'],
      env,
      ...(cwd === undefined ? {} : { cwd }),
    });
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    throw new Error(`${program} ${args.slice(0, 3).join(' ')}: ${stderr?.trim() || message}`);
  }
}

function listKernels(): string {
  const names = PREFIXES.flatMap((prefix) => runTool('apt-cache', ['pkgnames', prefix]).split('\n'));
  return runTool('apt-cache', ['madison', ...names.filter(isOfInterest)]);
}

/**
 * Returns the sets of packages from which a guest can be built, best first.
 * @throws Error when apt lists no kernel
 */
export function availableGuests(): [GuestPackages, ...GuestPackages[]] {
  const [, preferred] =
    runTool('apt-cache', ['depends', '--important', METAPACKAGE]).match(/^ {2}Depends: (linux-image-\S+)$/m) ?? [];
  const [best, ...others] = guestPackages(listKernels(), preferred);
  if (best === undefined)
    throw new Error("apt lists no kernel package linux-image-*-amd64; run 'apt-get update' as root");
  return [best, ...others];
}

/**
 * Downloads packages into a folder. It tries several times per package.
 * @throws DownloadError with one line: the package, the versions that apt lists, and what to do
 */
export function downloadPackages(packages: readonly PackageVersion[], folder: string): void {
  for (const { name, version } of packages) {
    try {
      runTool('apt-get', ['download', ...DOWNLOAD_OPTIONS, `${name}=${version}`], folder);
    } catch (error) {
      const listed =
        readListing(runTool('apt-cache', ['madison', name]))
          .get(name)
          ?.join(', ') ?? 'none';
      throw new DownloadError(
        `${name} ${version} cannot be downloaded (${lastLine(error)}); apt lists these versions: ${listed}; ` +
          "run 'apt-get update' as root, and then 'npm run setup:peers' again",
      );
    }
  }
}

function lastLine(error: unknown): string {
  const lines = (error as Error).message.split('\n').filter((line) => line.trim() !== '');
  return lines.at(-1)!.replace(/^(E|W): /, '');
}
