/** What apt knows of kernel packages, and downloading them. Nothing is installed. */
import { execFileSync } from 'node:child_process';
import { type GuestPackages, guestPackages, isOfInterest, type PackageVersion, readListing } from './packages.js';

const STEP_TIMEOUT_MS = 10 * 60_000;
/** Depends on the kernel package that Debian recommends. */
const METAPACKAGE = 'linux-image-amd64';
const PREFIXES = ['linux-image-', 'linux-headers-', 'linux-kbuild-', 'linux-source-'];
/** apt drops root for a user of its own where that user may write; it may not here, and says so at length. */
const DOWNLOAD_OPTIONS = ['-o', 'APT::Sandbox::User=root', '-o', 'Acquire::Retries=3'];

/** A package that apt lists could not be downloaded. */
export class DownloadError extends Error {
  override readonly name = 'DownloadError';
}

/**
 * Runs a program to its end.
 * @returns its standard output
 * @throws Error with the program and what it said
 */
export function runTool(program: string, args: readonly string[], cwd?: string): string {
  const env = { ...process.env, LC_ALL: 'C', PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
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
 * The sets of packages that a guest can be made of, best first.
 * @throws Error where apt lists no kernel at all
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
 * Downloads packages into a folder, each tried several times.
 * @throws DownloadError with one line: the package, which versions apt lists, and what to do
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
