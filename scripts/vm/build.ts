/**
 * Makes the guest's kernel and modules from Debian's packages, which are downloaded and unpacked, not installed:
 *
 * - `vmlinux`: the uncompressed kernel out of linux-image; entered by PVH, twice as fast as the bzImage under TCG;
 * - `root/`: the modules that the guest may need, with modules.dep, and busybox;
 * - `root/vfio-noiommu.ko`: Debian builds vfio.ko without CONFIG_VFIO_NOIOMMU, so this one module is built again, from
 *   linux-source and linux-headers of the kernel's upstream version. Left out where the mirror has none that fit.
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
  /** Go on to the next best set of packages where one of the best cannot be downloaded, instead of failing. */
  readonly fallBack: boolean;
}

/**
 * Builds the guest from the best set of packages that apt lists, unless it is there.
 * @param say gets a line per step
 * @returns its folder
 * @throws DownloadError where a package cannot be downloaded (with `fallBack`: none of any set); Error otherwise
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
  // Built aside and renamed: a folder of the right name is complete.
  const work = mkdtempSync(join(cacheFolder(), 'build-'));
  try {
    const unpacked = unpackPackages(work, packages, say);
    const made = join(work, 'made');
    mkdirSync(made);
    say('taking the kernel and its modules out of the package');
    writeFileSync(join(made, 'vmlinux'), extractKernel(join(unpacked, 'boot', `vmlinuz-${release}`), work));
    copyModules(unpacked, release, join(made, 'root'));
    if (build.length > 0) {
      say('building vfio.ko with CONFIG_VFIO_NOIOMMU');
      copyFileSync(buildNoIommu(unpacked, release, work), join(made, NO_IOMMU_MODULE));
    } else {
      say(
        `no headers, kbuild and source that fit ${image.name} ${image.version}: this guest needs an IOMMU for vfio-pci`,
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
  say(`downloading ${all.map(({ name, version }) => `${name} ${version}`).join(', ')} (some ${size} MB)`);
  downloadPackages(all, work);
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
