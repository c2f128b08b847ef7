/** Where the lab keeps what it builds: one folder per kernel package and version of the recipe, complete or absent. */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

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

export const cacheFolder = (): string => join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tspmd', 'vm');

/** The folder of one kernel package: `6.1.0-56-amd64_6.1.192-2_0f1e2d3c`. */
export const guestFolder = (release: string, version: string): string =>
  join(cacheFolder(), `${release}_${version}_${recipe}`);

/** The built guest with the newest kernel, or undefined: then `build` has to run first. Needs no network. */
export function findGuest(): string | undefined {
  let names: string[];
  try {
    names = readdirSync(cacheFolder());
  } catch {
    return undefined;
  }
  const byVersion = new Intl.Collator('en', { numeric: true });
  const newest = names
    .filter((name) => name.endsWith(`_${recipe}`))
    .sort(byVersion.compare)
    .at(-1);
  return newest === undefined ? undefined : join(cacheFolder(), newest);
}
