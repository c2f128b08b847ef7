/**
 * Which Debian packages a guest is made of. Mirrors change from day to day: a kernel package can be there while its headers,
 * kbuild or source are of another revision, or gone. So the choice is made from what apt lists, and says what comes next
 * where that cannot be downloaded.
 */

/** One version of one package. */
export interface PackageVersion {
  readonly name: string;
  readonly version: string;
}

/** What one guest is made of. */
export interface GuestPackages {
  /** Kernel release, as `uname -r` prints it: `6.1.0-56-amd64`. */
  readonly release: string;
  readonly image: PackageVersion;
  /**
   * What vfio.ko is built from: headers, their common part, kbuild and source, in this order. Empty where the mirror has no
   * set that fits: the guest then has Debian's vfio.ko only, which needs an IOMMU.
   */
  readonly build: readonly PackageVersion[];
}

/** Debian's kernels for PCs; without those for clouds (they lack 9p), with real-time patches, with debug symbols. */
const IMAGE = /^linux-image-((\d+\.\d+)\.\d+\S*-amd64)$/;
const OTHER_FLAVOUR = /-(cloud|rt|dbg|unsigned)\b/;

/** Names of packages that {@link guestPackages} wants to see the versions of. */
export function isOfInterest(name: string): boolean {
  return (
    (IMAGE.test(name) && !OTHER_FLAVOUR.test(name)) ||
    (/^linux-headers-\d.*-(amd64|common)$/.test(name) && !OTHER_FLAVOUR.test(name)) ||
    /^linux-(kbuild|source)-\d/.test(name)
  );
}

/** Package -> its versions, newest first, out of what `apt-cache madison` prints. */
export function readListing(madison: string): ReadonlyMap<string, readonly string[]> {
  const versions = new Map<string, string[]>();
  for (const line of madison.split('\n')) {
    const [name, version, source] = line.split('|').map((field) => field.trim());
    // Source packages are listed as well, under the same name.
    if (!name || !version || source?.endsWith(' Sources')) continue;
    const known = versions.get(name);
    if (known === undefined) versions.set(name, [version]);
    else if (!known.includes(version)) known.push(version);
  }
  return versions;
}

/**
 * The sets of packages that make a guest, best first: kernels with all that vfio.ko is built from, then kernels alone; the
 * preferred kernel first each time, then the older ones of its series.
 *
 * @param madison output of `apt-cache madison` for the packages {@link isOfInterest}
 * @param preferred the kernel package that Debian's `linux-image-amd64` depends on; undefined: the newest
 * @returns empty where apt lists no kernel
 */
export function guestPackages(madison: string, preferred?: string): readonly GuestPackages[] {
  const listing = readListing(madison);
  const sets: GuestPackages[] = [];
  for (const name of imagesInOrder([...listing.keys()], preferred)) {
    const [, release, series] = IMAGE.exec(name)!;
    for (const version of listing.get(name)!) {
      const image = { name, version };
      sets.push({ release: release!, image, build: buildPackages(listing, release!, series!, version) });
    }
  }
  const complete = sets.filter(({ build }) => build.length > 0);
  return [...complete, ...sets.map((set) => ({ ...set, build: [] }))];
}

/** Kernel packages: the preferred one (otherwise the newest), then older ones of the same series, newest first. */
function imagesInOrder(names: readonly string[], preferred: string | undefined): readonly string[] {
  const byRelease = new Intl.Collator('en', { numeric: true });
  const images = names
    .filter((name) => IMAGE.test(name) && !OTHER_FLAVOUR.test(name))
    .sort((a, b) => byRelease.compare(b, a));
  const first = preferred !== undefined && images.includes(preferred) ? preferred : images[0];
  if (first === undefined) return [];
  const series = IMAGE.exec(first)![2];
  return images.slice(images.indexOf(first)).filter((name) => IMAGE.exec(name)![2] === series);
}

/** Headers, common headers, kbuild and source for one kernel; empty where one of them has no version that fits. */
function buildPackages(
  listing: ReadonlyMap<string, readonly string[]>,
  release: string,
  series: string,
  version: string,
): readonly PackageVersion[] {
  const base = release.replace(/-amd64$/, '');
  // Debian 13 names kbuild after the kernel, Debian 12 after the series.
  const kbuild = [`linux-kbuild-${base}`, `linux-kbuild-${series}`].find((name) => listing.has(name));
  const fits: [string | undefined, boolean][] = [
    // The headers of one architecture carry the kernel's configuration and symbols: no other version will do.
    [`linux-headers-${release}`, false],
    [`linux-headers-${base}-common`, true],
    [kbuild, true],
    [`linux-source-${series}`, true],
  ];
  const found: PackageVersion[] = [];
  for (const [name, mayDiffer] of fits) {
    const versions = (name !== undefined && listing.get(name)) || [];
    const upstream = upstreamOf(version);
    const fit = versions.includes(version)
      ? version
      : versions.find((other) => mayDiffer && upstreamOf(other) === upstream);
    if (name === undefined || fit === undefined) return [];
    found.push({ name, version: fit });
  }
  return found;
}

/** `6.1.192` of `6.1.192-3`: deb-version(7), the part before the last hyphen. */
const upstreamOf = (version: string): string => version.replace(/-[^-]*$/, '');
