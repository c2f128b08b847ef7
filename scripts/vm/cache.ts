/** Where the lab keeps what it builds: one folder per kernel package and version of the recipe, complete or absent. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder as projectCache } from '../cache-folder.js';

/** Counted up when build.ts makes something else of the same packages. */
const RECIPE = 1;

/**
 * Loaded by /init, in this order, before there is a root file system. Others come from modprobe. vmgenid is how a guest
 * that goes on from a saved machine learns that it must not have that one's random numbers.
 */
export const BOOT_MODULES = ['virtio_pci', 'virtio_console', '9p', '9pnet_virtio', 'overlay', 'vmgenid'];

/** What a test may ask modprobe for. */
export const GUEST_MODULES = ['vfio-pci', 'vfio_iommu_type1', 'virtio_net', 'af_packet', 'tun', 'veth', 'bridge'];

/** Of the whole list, as the folder's name says which list it was built from. */
const recipe = createHash('sha256')
  .update(JSON.stringify([RECIPE, BOOT_MODULES, GUEST_MODULES]))
  .digest('hex')
  .slice(0, 8);

export const cacheFolder = (): string => projectCache('vm');

/** In a guest's folder: the vfio.ko that can do without an IOMMU. Missing where Debian's mirror had nothing to build it from. */
export const NO_IOMMU_MODULE = join('root', 'vfio-noiommu.ko');

/** Marks the folder of a guest without {@link NO_IOMMU_MODULE}. */
const IOMMU_ONLY = '_iommu-only';

/** The folder of one kernel package: `6.1.0-56-amd64_6.1.192-2_0f1e2d3c`. */
export const guestFolder = (release: string, version: string, hasNoIommuModule: boolean): string =>
  join(cacheFolder(), `${release}_${version}_${recipe}${hasNoIommuModule ? '' : IOMMU_ONLY}`);

/**
 * The built guest with the newest kernel, or undefined: then `build` has to run first. One that can do without an IOMMU is
 * preferred, as `build` does. Needs no network.
 */
export function findGuest(): string | undefined {
  let names: string[];
  try {
    names = readdirSync(cacheFolder());
  } catch {
    return undefined;
  }
  const byVersion = new Intl.Collator('en', { numeric: true });
  const newest = (suffix: string): string | undefined =>
    names
      .filter((name) => name.endsWith(suffix))
      .sort(byVersion.compare)
      .at(-1);
  const found = newest(`_${recipe}`) ?? newest(`_${recipe}${IOMMU_ONLY}`);
  return found === undefined ? undefined : join(cacheFolder(), found);
}

/** Whether the guest that {@link findGuest} finds can do without an IOMMU. */
export function isNoIommuPossible(): boolean {
  const guest = findGuest();
  return guest !== undefined && existsSync(join(guest, NO_IOMMU_MODULE));
}

/** What the user does about it. */
export const NO_IOMMU_REMEDY =
  "Debian's mirror had no headers, kbuild and source that fit its kernel; run 'npm run setup:peers' on another day";
