/** The Debian packages of the guest of scripts/vm, chosen from listings of `apt-cache madison`. */
import { describe, expect, it } from 'vitest';
import { guestPackages, isOfInterest, readListing } from '../../../../scripts/vm/packages.js';

const SECURITY = 'http://mirror.example/debian-security bookworm-security/main amd64 Packages';
const MAIN = 'http://mirror.example/debian bookworm/main amd64 Packages';

/**
 * Recorded on 2026-11-29: the kernel and its headers are one revision behind kbuild. The rows of other kernels are left
 * out.
 */
const KBUILD_AHEAD = `
linux-image-6.1.0-54-amd64 |  6.1.190-1 | ${SECURITY}
linux-image-6.12.117+deb12-amd64 | 6.12.117-1~deb12u1 | ${SECURITY}
linux-image-6.1.0-56-amd64 |  6.1.192-2 | ${SECURITY}
linux-image-6.1.0-50-amd64 |  6.1.176-1 | ${MAIN}
linux-image-6.1.0-50-amd64 |  6.1.176-1 | ${SECURITY}
linux-image-6.1.0-55-amd64 |  6.1.192-1 | ${SECURITY}
linux-headers-6.12.117+deb12-common | 6.12.117-1~deb12u1 | ${SECURITY}
linux-headers-6.12.117+deb12-amd64 | 6.12.117-1~deb12u1 | ${SECURITY}
linux-headers-6.1.0-54-common |  6.1.190-1 | ${SECURITY}
linux-headers-6.1.0-54-amd64 |  6.1.190-1 | ${SECURITY}
linux-headers-6.1.0-55-common |  6.1.192-1 | ${SECURITY}
linux-headers-6.1.0-55-amd64 |  6.1.192-1 | ${SECURITY}
linux-headers-6.1.0-56-common |  6.1.192-2 | ${SECURITY}
linux-headers-6.1.0-56-amd64 |  6.1.192-2 | ${SECURITY}
linux-headers-6.1.0-57-common |  6.1.192-3 | ${SECURITY}
linux-headers-6.1.0-57-amd64 |  6.1.192-3 | ${SECURITY}
linux-headers-6.1.0-50-common |  6.1.176-1 | ${MAIN}
linux-headers-6.1.0-50-amd64 |  6.1.176-1 | ${MAIN}
linux-kbuild-6.12.117+deb12 | 6.12.117-1~deb12u1 | ${SECURITY}
linux-kbuild-6.1 |  6.1.192-3 | ${SECURITY}
linux-kbuild-6.1 |  6.1.176-1 | ${MAIN}
linux-source-6.1 |  6.1.192-3 | ${SECURITY}
linux-source-6.1 |  6.1.192-2 | ${SECURITY}
linux-source-6.1 |  6.1.192-1 | ${SECURITY}
linux-source-6.1 |  6.1.190-1 | ${SECURITY}
linux-source-6.1 |  6.1.176-1 | ${MAIN}
linux-source-6.12 | 6.12.117-1~deb12u1 | ${SECURITY}
`;
const NEWEST = 'linux-image-6.1.0-56-amd64';

/** The listing without the rows that match. */
const without = (pattern: RegExp): string =>
  KBUILD_AHEAD.split('\n')
    .filter((line) => !pattern.test(line))
    .join('\n');

const versionsOf = (madison: string, preferred?: string): string[] =>
  guestPackages(madison, preferred).map(({ image, build }) =>
    [image, ...build].map(({ name, version }) => `${name}=${version}`).join(' '),
  );

describe('the packages that a guest is made of', () => {
  it('takes any revision of the upstream version for headers, kbuild and source', () => {
    const [best] = guestPackages(KBUILD_AHEAD, NEWEST);
    expect(best).toEqual({
      release: '6.1.0-56-amd64',
      image: { name: NEWEST, version: '6.1.192-2' },
      build: [
        { name: 'linux-headers-6.1.0-56-amd64', version: '6.1.192-2' },
        { name: 'linux-headers-6.1.0-56-common', version: '6.1.192-2' },
        { name: 'linux-kbuild-6.1', version: '6.1.192-3' },
        { name: 'linux-source-6.1', version: '6.1.192-2' },
      ],
    });
  });

  it('prefers the version of the kernel itself', () => {
    const consistent = `${KBUILD_AHEAD}linux-kbuild-6.1 |  6.1.192-2 | ${SECURITY}\n`;
    expect(guestPackages(consistent, NEWEST)[0]!.build.map(({ version }) => version)).toEqual(
      Array<string>(4).fill('6.1.192-2'),
    );
  });

  it('takes an older kernel if the newest has no headers', () => {
    const older = without(/^linux-headers-6\.1\.0-56-common/);
    expect(versionsOf(older, NEWEST)[0]).toBe(
      'linux-image-6.1.0-55-amd64=6.1.192-1 linux-headers-6.1.0-55-amd64=6.1.192-1 ' +
        'linux-headers-6.1.0-55-common=6.1.192-1 linux-kbuild-6.1=6.1.192-3 linux-source-6.1=6.1.192-1',
    );
  });

  it('does not take headers of another version than the kernel', () => {
    const other = KBUILD_AHEAD.replace(/^(linux-headers-6\.1\.0-56-amd64 \| +)6\.1\.192-2/m, '$16.1.192-3');
    expect(versionsOf(other, NEWEST)[0]).toMatch(/^linux-image-6\.1\.0-55-amd64=/);
  });

  it('does not take kbuild or source of another upstream version', () => {
    // Kernel 54 is 6.1.190. kbuild exists in 6.1.192 and 6.1.176.
    const sets = guestPackages(KBUILD_AHEAD, 'linux-image-6.1.0-54-amd64');
    expect(sets[0]).toMatchObject({ release: '6.1.0-50-amd64', build: [{}, {}, { version: '6.1.176-1' }, {}] });
  });

  it('takes only the newest kernel if none has sources', () => {
    const sets = guestPackages(without(/^linux-source-/), NEWEST);
    expect(sets[0]).toEqual({ release: '6.1.0-56-amd64', image: { name: NEWEST, version: '6.1.192-2' }, build: [] });
    expect(sets.every(({ build }) => build.length === 0)).toBe(true);
  });

  it('lists what to try next: complete sets, then only kernels, newest first', () => {
    expect(versionsOf(KBUILD_AHEAD, NEWEST).map((set) => set.split(' ').length + set.slice(11, 26))).toEqual([
      ...['5-6.1.0-56-amd64', '5-6.1.0-55-amd64', '5-6.1.0-50-amd64'],
      ...['1-6.1.0-56-amd64', '1-6.1.0-55-amd64', '1-6.1.0-54-amd64', '1-6.1.0-50-amd64'],
    ]);
  });

  it("takes the newest of all kernels if none is preferred, with Debian 13's names", () => {
    expect(versionsOf(KBUILD_AHEAD)[0]).toBe(
      'linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 linux-headers-6.12.117+deb12-amd64=6.12.117-1~deb12u1 ' +
        'linux-headers-6.12.117+deb12-common=6.12.117-1~deb12u1 linux-kbuild-6.12.117+deb12=6.12.117-1~deb12u1 ' +
        'linux-source-6.12=6.12.117-1~deb12u1',
    );
  });

  it('finds nothing where apt lists no kernel', () => {
    expect(guestPackages(without(/^linux-image-/), NEWEST)).toEqual([]);
    expect(guestPackages('', NEWEST)).toEqual([]);
  });

  it('reads each version once, newest first, and no source packages', () => {
    const listing = readListing(
      `${KBUILD_AHEAD}linux-source-6.1 | 6.1.999-1 | http://mirror.example/debian bookworm/main Sources\n`,
    );
    expect(listing.get('linux-image-6.1.0-50-amd64')).toEqual(['6.1.176-1']);
    expect(listing.get('linux-source-6.1')![0]).toBe('6.1.192-3');
  });

  it('asks only for kernels of PCs', () => {
    const flavours = ['cloud-amd64', 'rt-amd64', 'amd64-dbg', 'amd64-unsigned'];
    expect(flavours.map((flavour) => isOfInterest(`linux-image-6.1.0-56-${flavour}`))).toEqual(Array(4).fill(false));
    expect(isOfInterest('linux-image-amd64')).toBe(false);
    expect(isOfInterest('linux-headers-6.1.0-56-cloud-amd64')).toBe(false);
    expect(['linux-kbuild-6.1', 'linux-source-6.1', NEWEST, 'linux-headers-6.1.0-56-common'].every(isOfInterest)).toBe(
      true,
    );
  });
});
