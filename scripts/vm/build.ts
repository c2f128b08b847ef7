/**
 * Builds the guest's kernel and modules from Debian packages, which it downloads and unpacks, but does not install:
 *
 * - `vmlinux`: the uncompressed kernel from linux-image. QEMU starts it by PVH, which takes half as long as a bzImage
 *   under TCG;
 * - `root/`: the modules that the guest may need, with modules.dep, and busybox;
 * - `root/vfio-noiommu.ko`: vfio.ko with CONFIG_VFIO_NOIOMMU, which Debian's lacks. It is built from linux-source and
 *   linux-headers of the kernel's upstream version, and is missing when the mirror has no such packages.
 */
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
import { availableGuests, DownloadError, downloadPackages, runTool as run } from './apt.js';
import { BOOT_MODULES, cacheFolder, GUEST_MODULES, guestFolder, NO_IOMMU_MODULE } from './cache.js';
import type { GuestPackages } from './packages.js';

export interface BuildOptions {
  /** Whether to continue with the next best set of packages when a package cannot be downloaded. */
  readonly fallBack: boolean;
}

/**
 * Builds the guest from the best set of packages that apt lists, unless it exists.
 * @param say gets a line per step
 * @returns the folder of the guest
 * @throws DownloadError when a package cannot be downloaded, or, with `fallBack`, when this is so for every set of
 * packages
 */
export function buildGuest(say: (line: string) => void, { fallBack }: BuildOptions): string {
  const [best, ...others] = availableGuests();
  let packages = best;
  for (;;) {
    try {
      return buildFrom(packages, say);
    } catch (error) {
      const next = others.shift();
      if (!(error instanceof DownloadError) || !fallBack || next === undefined) throw error;
      say(error.message);
      packages = next;
    }
  }
}

function buildFrom(packages: GuestPackages, say: (line: string) => void): string {
  const { release, image, build } = packages;
  const folder = guestFolder(release, image.version, build.length > 0);
  if (existsSync(folder)) return folder;
  mkdirSync(cacheFolder(), { recursive: true });
  // Built in a temporary folder and renamed, so that a folder with the right name is complete.
  const work = mkdtempSync(join(cacheFolder(), 'build-'));
  try {
    const unpacked = unpackPackages(work, packages, say);
    const made = join(work, 'made');
    mkdirSync(made);
    say('unpacking the kernel and its modules');
    writeFileSync(join(made, 'vmlinux'), extractKernel(join(unpacked, 'boot', `vmlinuz-${release}`), work));
    copyModules(unpacked, release, join(made, 'root'));
    if (build.length > 0) {
      say('building vfio.ko with CONFIG_VFIO_NOIOMMU');
      copyFileSync(buildNoIommu(unpacked, release, work), join(made, NO_IOMMU_MODULE));
    } else {
      say(
        `apt has no matching headers, kbuild and source for ${image.name} ${image.version}: ` +
          'this guest can use vfio-pci only with an IOMMU',
      );
    }
    renameSync(made, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}

function unpackPackages(work: string, { image, build }: GuestPackages, say: (line: string) => void): string {
  const all = [image, ...build];
  const size = build.length > 0 ? 225 : 70;
  say(`downloading ${all.map(({ name, version }) => `${name} ${version}`).join(', ')} (about ${size} MB)`);
  downloadPackages(all, work);
  const packages = join(work, 'packages');
  for (const file of readdirSync(work).filter((name) => name.endsWith('.deb'))) {
    run('dpkg', ['-x', join(work, file), packages]);
    rmSync(join(work, file));
  }
  return packages;
}

/**
 * Returns the ELF file in a bzImage. Source: Documentation/x86/boot.rst of Linux, fields setup_sects, payload_offset
 * and payload_length.
 */
function extractKernel(path: string, work: string): Buffer {
  const image = readFileSync(path);
  if (image.toString('latin1', 0x202, 0x206) !== 'HdrS') throw new Error(`${basename(path)} is not a bzImage`);
  const start = (image[0x1f1]! + 1) * 512 + image.readUInt32LE(0x248);
  // The last four bytes are the uncompressed length.
  const payload = image.subarray(start, start + image.readUInt32LE(0x24c) - 4);
  const compressed = join(work, 'vmlinux.xz');
  writeFileSync(compressed, payload);
  run('xz', ['-d', '--single-stream', compressed]);
  return readFileSync(join(work, 'vmlinux'));
}

/** Returns the modules that must be loaded before this one, from its `.modinfo` section. */
function moduleDependencies(path: string): string[] {
  const [, list = ''] = readFileSync(path, 'latin1').match(/\0depends=([^\0]*)\0/) ?? [];
  return list.split(',').filter((name) => name !== '');
}

/**
 * Copies the modules that the guest needs, with their dependencies. Writes modules.dep and the list of modules to load
 * at boot.
 */
function copyModules(packages: string, release: string, root: string): void {
  const folder = join('lib', 'modules', release);
  const from = [packages, join(packages, 'usr')].map((base) => join(base, folder)).find((path) => existsSync(path));
  if (from === undefined) throw new Error(`linux-image-${release} has no folder /${folder}`);
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

/** Returns the name of a module. The kernel treats - and _ in it as the same. */
const moduleName = (path: string): string =>
  basename(path)
    .replace(/\.ko.*$/, '')
    .replaceAll('-', '_');

/** Builds vfio.ko from the kernel's list of objects, with the kernel's configuration plus CONFIG_VFIO_NOIOMMU. */
function buildNoIommu(packages: string, release: string, work: string): string {
  const tarball = readdirSync(join(packages, 'usr', 'src')).find((name) => /^linux-source-.*\.tar\.xz$/.test(name));
  if (tarball === undefined) throw new Error('the package of the kernel source has no /usr/src/linux-source-*.tar.xz');
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
  // The Makefile of the headers includes the one of the common headers by the path that it has when they are installed.
  const headers = join(packages, 'usr', 'src', `linux-headers-${release}`);
  const main = join(headers, 'Makefile');
  writeFileSync(main, readFileSync(main, 'utf8').replaceAll(' /usr/', ` ${packages}/usr/`));
  run('make', ['-C', headers, `M=${source}`, 'modules']);
  const module = join(source, 'vfio.ko');
  run('strip', ['--strip-debug', module]);
  return module;
}
