/**
 * Makes the guest's kernel and modules from Debian's packages, which are downloaded and unpacked, not installed:
 *
 * - `vmlinux`: the uncompressed kernel out of linux-image; entered by PVH, twice as fast as the bzImage under TCG;
 * - `root/`: the modules that the guest may need, with modules.dep, and busybox;
 * - `vfio-noiommu.ko`: Debian builds vfio.ko without CONFIG_VFIO_NOIOMMU, so this one module is built again, from
 *   linux-source and linux-headers of the very version of the kernel.
 */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { BOOT_MODULES, cacheFolder, GUEST_MODULES, guestFolder } from './cache.js';

const STEP_TIMEOUT_MS = 10 * 60_000;
/** What depends on the newest kernel package. */
const KERNEL = 'linux-image-amd64';

function run(program: string, args: readonly string[], cwd?: string): string {
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

/** The names of the packages that a package depends on. */
function dependencies(name: string): string[] {
  return [...run('apt-cache', ['depends', '--important', name]).matchAll(/^ {2}(?:Pre)?Depends: (\S+)$/gm)].map(
    ([, dependency]) => dependency!,
  );
}

/** Kernel release (`6.1.0-56-amd64`) and package version (`6.1.192-2`) of the newest kernel that apt knows. */
export function newestKernel(): { release: string; version: string } {
  const image = dependencies(KERNEL).find((name) => name.startsWith('linux-image-'));
  const version = image && run('apt-cache', ['policy', image]).match(/Candidate: (\S+)/)?.[1];
  if (!version) throw new Error(`apt knows no kernel package ${KERNEL}; run 'apt-get update' as root`);
  return { release: image.slice('linux-image-'.length), version };
}

/** Builds the guest unless it is there; `say` gets a line per step. Returns its folder. */
export function buildGuest(say: (line: string) => void): string {
  const { release, version } = newestKernel();
  const folder = guestFolder(release, version);
  if (existsSync(folder)) return folder;
  mkdirSync(cacheFolder(), { recursive: true });
  // Built aside and renamed: a folder of the right name is complete.
  const work = mkdtempSync(join(cacheFolder(), 'build-'));
  try {
    const packages = unpackPackages(work, release, version, say);
    const made = join(work, 'made');
    mkdirSync(made);
    say('taking the kernel and its modules out of the package');
    writeFileSync(join(made, 'vmlinux'), extractKernel(join(packages, 'boot', `vmlinuz-${release}`), work));
    copyModules(packages, release, join(made, 'root'));
    say('building vfio.ko with CONFIG_VFIO_NOIOMMU');
    copyFileSync(buildNoIommu(packages, release, work), join(made, 'root', 'vfio-noiommu.ko'));
    renameSync(made, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}

function unpackPackages(work: string, release: string, version: string, say: (line: string) => void): string {
  const headers = dependencies(`linux-headers-${release}`);
  const [common, kbuild] = ['linux-headers-', 'linux-kbuild-'].map((start) =>
    headers.find((name) => name.startsWith(start)),
  );
  if (!common || !kbuild) throw new Error(`linux-headers-${release} does not name its common headers and kbuild`);
  const source = `linux-source-${kbuild.slice('linux-kbuild-'.length)}`;
  const names = [`linux-image-${release}`, `linux-headers-${release}`, common, kbuild, source];
  say(`downloading ${names.join(' ')} ${version} (some 225 MB)`);
  // apt drops root for a user of its own where that one may write; it may not here, and says so at length.
  run('apt-get', ['download', '-o', 'APT::Sandbox::User=root', ...names.map((name) => `${name}=${version}`)], work);
  const packages = join(work, 'packages');
  for (const file of readdirSync(work).filter((name) => name.endsWith('.deb'))) {
    run('dpkg', ['-x', join(work, file), packages]);
    rmSync(join(work, file));
  }
  return packages;
}

/** The ELF in a bzImage: Linux's Documentation/x86/boot.rst, setup_sects, payload_offset and payload_length. */
function extractKernel(path: string, work: string): Buffer {
  const image = readFileSync(path);
  if (image.toString('latin1', 0x202, 0x206) !== 'HdrS') throw new Error(`${basename(path)} is no bzImage`);
  const start = (image[0x1f1]! + 1) * 512 + image.readUInt32LE(0x248);
  // The last four bytes are the length of what is in it.
  const payload = image.subarray(start, start + image.readUInt32LE(0x24c) - 4);
  const compressed = join(work, 'vmlinux.xz');
  writeFileSync(compressed, payload);
  run('xz', ['-d', '--single-stream', compressed]);
  return readFileSync(join(work, 'vmlinux'));
}

/** Names that a module needs loaded first, as its own `.modinfo` section says. */
function moduleDependencies(path: string): string[] {
  const [, list = ''] = readFileSync(path, 'latin1').match(/\0depends=([^\0]*)\0/) ?? [];
  return list.split(',').filter((name) => name !== '');
}

/** Copies the modules that the guest needs and what they depend on; writes modules.dep and the order at boot. */
function copyModules(packages: string, release: string, root: string): void {
  const folder = join('lib', 'modules', release);
  const from = [packages, join(packages, 'usr')].map((base) => join(base, folder)).find((path) => existsSync(path));
  if (from === undefined) throw new Error(`no /${folder} in linux-image-${release}`);
  const paths = new Map<string, string>();
  for (const path of readdirSync(from, { recursive: true, encoding: 'utf8' })) {
    if (path.endsWith('.ko') || path.endsWith('.ko.xz')) paths.set(moduleName(path), path);
  }
  const to = join(root, folder);
  const order: string[] = [];
  const seen = new Set<string>();
  const add = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    const path = paths.get(name);
    if (path === undefined) return; // built into the kernel
    const target = join(to, path);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(join(from, path), target);
    if (path.endsWith('.xz')) run('xz', ['-d', target]);
    const plain = target.replace(/\.xz$/, '');
    for (const dependency of moduleDependencies(plain)) add(moduleName(dependency));
    order.push(`/${relative(root, plain)}`);
  };
  for (const name of BOOT_MODULES) add(moduleName(name));
  writeFileSync(join(root, 'boot-modules'), `${order.join('\n')}\n`);
  for (const name of GUEST_MODULES) add(moduleName(name));
  for (const name of ['modules.order', 'modules.builtin', 'modules.builtin.modinfo']) {
    copyFileSync(join(from, name), join(to, name));
  }
  run('depmod', ['-b', root, release]);
}

/** The kernel takes - and _ in a module's name for the same. */
const moduleName = (path: string): string =>
  basename(path)
    .replace(/\.ko.*$/, '')
    .replaceAll('-', '_');

/** Builds vfio.ko by the kernel's own list of its objects, in the kernel's own configuration but for the one option. */
function buildNoIommu(packages: string, release: string, work: string): string {
  const tarball = readdirSync(join(packages, 'usr', 'src')).find((name) => /^linux-source-.*\.tar\.xz$/.test(name));
  if (tarball === undefined) throw new Error('no /usr/src/linux-source-*.tar.xz in the package of the kernel source');
  const source = join(work, 'vfio');
  mkdirSync(source);
  const folder = `${tarball.replace(/\.tar\.xz$/, '')}/drivers/vfio/`;
  run('tar', ['-xJf', join(packages, 'usr', 'src', tarball), '-C', source, '--strip-components=3', folder]);
  const makefile = readFileSync(join(source, 'Makefile'), 'utf8').replaceAll('\\\n', ' ');
  const objects = makefile.split('\n').filter((line) => /^vfio-|^obj-\$\(CONFIG_VFIO\)/.test(line));
  writeFileSync(
    join(source, 'Makefile'),
    ['CONFIG_VFIO_NOIOMMU := y', ...objects, 'ccflags-y += -DCONFIG_VFIO_NOIOMMU=1', ''].join('\n'),
  );
  // The headers' Makefile includes that of the common headers by the place where they would be installed.
  const headers = join(packages, 'usr', 'src', `linux-headers-${release}`);
  const main = join(headers, 'Makefile');
  writeFileSync(main, readFileSync(main, 'utf8').replaceAll(' /usr/', ` ${packages}/usr/`));
  run('make', ['-C', headers, `M=${source}`, 'modules']);
  const module = join(source, 'vfio.ko');
  run('strip', ['--strip-debug', module]);
  return module;
}
