/**
 * Chooses the Debian packages that a guest is built from. Mirrors change every day: a kernel package can be there while
 * its headers, kbuild or source have another revision or are gone. Therefore the choice depends on the packages that
 * apt lists, and names alternatives in case a package cannot be downloaded.
 */

/** One version of one package. */
export interface PackageVersion {
  readonly name: string;
  readonly version: string;
}

/** The packages of one guest. */
export interface GuestPackages {
  /** Kernel release, as `uname -r` prints it: `6.1.0-56-amd64`. */
  readonly release: string;
  readonly image: PackageVersion;
  /**
   * The packages to build vfio.ko from: headers, common headers, kbuild and source, in this order. Empty when the
   * mirror has no matching set: the guest then has only Debian's vfio.ko, which needs an IOMMU.
   */
  readonly build: readonly PackageVersion[];
}

/** Debian's kernels for PCs, except those for clouds (they lack 9p), with real-time patches, or with debug symbols. */
const IMAGE = /^linux-image-((\d+\.\d+)\.\d+\S*-amd64)$/;
const OTHER_FLAVOUR = /-(cloud|rt|dbg|unsigned)\b/;

/** Whether {@link guestPackages} needs the versions of this package. */
export function isOfInterest(name: string): boolean {
  return (
    (IMAGE.test(name) && !OTHER_FLAVOUR.test(name)) ||
    (/^linux-headers-\d.*-(amd64|common)$/.test(name) && !OTHER_FLAVOUR.test(name)) ||
    /^linux-(kbuild|source)-\d/.test(name)
  );
}

/** Reads the output of `apt-cache madison`. Returns the versions of each package, newest first. */
export function readListing(madison: string): ReadonlyMap<string, readonly string[]> {
  const versions = new Map<string, string[]>();
  for (const line of madison.split('\n')) {
    const [name, version, source] = line.split('|').map((field) => field.trim());
    // apt also lists source packages with the same name.
    if (!name || !version || source?.endsWith(' Sources')) continue;
    const known = versions.get(name);
    if (known === undefined) versions.set(name, [version]);
    else if (!known.includes(version)) known.push(version);
  }
  return versions;
}

/**
 * Returns the sets of packages that a guest can be built from, best first: first kernels with everything to build
 * vfio.ko, then kernels alone. Both parts begin with the preferred kernel, followed by the older kernels of its series.
 *
 * @param madison output of `apt-cache madison` for the packages that {@link isOfInterest}
 * @param preferred the kernel package that Debian's `linux-image-amd64` depends on; default: the newest one
 * @returns an empty list when apt lists no kernel
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

/**
 * Returns kernel packages: the preferred one (by default the newest), then older ones of the same series, newest first.
 */
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

/**
 * Returns headers, common headers, kbuild and source for one kernel; an empty list when one of them has no matching
 * version.
 */
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
    // The headers of the architecture have the kernel's configuration and symbols, so their version must be the same.
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

/** Returns `6.1.192` for `6.1.192-3`: the part before the last hyphen (deb-version(7)). */
const upstreamOf = (version: string): string => version.replace(/-[^-]*$/, '');
