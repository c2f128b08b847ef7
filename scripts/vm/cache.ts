/** The folders of built guests: one per kernel package and version of the recipe. A folder is complete or absent. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder as projectCache } from '../cache-folder.js';

/** Increase this number when build.ts builds something else from the same packages. */
const RECIPE = 1;

/**
 * Modules that /init loads, in this order, before it mounts the root file system. modprobe loads others. vmgenid tells
 * a guest that it was resumed from a saved machine, so that it does not repeat that machine's random numbers.
 */
export const BOOT_MODULES = ['virtio_pci', 'virtio_console', '9p', '9pnet_virtio', 'overlay', 'vmgenid'];

/** Modules that a test can load with modprobe. */
export const GUEST_MODULES = [
  ...['vfio-pci', 'vfio_iommu_type1', 'virtio_net'],
  ...['af_packet', 'tun', 'veth', 'bridge', 'sch_netem'],
];

/** A hash of the recipe and the module lists. It is part of the folder's name. */
const recipe = createHash('sha256')
  .update(JSON.stringify([RECIPE, BOOT_MODULES, GUEST_MODULES]))
  .digest('hex')
  .slice(0, 8);

export const cacheFolder = (): string => projectCache('vm');

/**
 * Path in a guest's folder: the vfio.ko that works without an IOMMU. It is missing when the mirror lacked the sources.
 */
export const NO_IOMMU_MODULE = join('root', 'vfio-noiommu.ko');

/** Marks the folder of a guest without {@link NO_IOMMU_MODULE}. */
const IOMMU_ONLY = '_iommu-only';

/** Returns the folder of the guest with a kernel package, such as `6.1.0-56-amd64_6.1.192-2_0f1e2d3c`. */
export const guestFolder = (release: string, version: string, hasNoIommuModule: boolean): string =>
  join(cacheFolder(), `${release}_${version}_${recipe}${hasNoIommuModule ? '' : IOMMU_ONLY}`);

/**
 * Returns the folder of the built guest with the newest kernel; undefined when `build` must run first. Like `build`, it
 * prefers a guest that works without an IOMMU. It needs no network.
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

/** Whether the guest that {@link findGuest} returns works without an IOMMU. */
export function isNoIommuPossible(): boolean {
  const guest = findGuest();
  return guest !== undefined && existsSync(join(guest, NO_IOMMU_MODULE));
}

/** Explains why {@link isNoIommuPossible} is false, and what to do. */
export const NO_IOMMU_REMEDY =
  "Debian's mirror had no matching headers, kbuild and source for its kernel; run 'npm run setup:peers' again another day";
