/**
 * What a suite needs of the machine. If something is missing the suite is skipped by name, with the reason and the
 * command that enables it (the summary repeats them at the end). In CI the suite fails instead, so that CI skips
 * nothing that Debian packages and root make possible.
 */
import { describe, type TestContext } from 'vitest';
import { isOvsInstalled } from '../../scripts/ovs.js';
import { isInstalled, isReadWrite } from '../../scripts/programs.js';
import { isHere, type Version } from '../../scripts/versions/cache.js';
import { findGuest, isNoIommuPossible, NO_IOMMU_REMEDY } from '../../scripts/vm/cache.js';
import type { Machine } from '../../scripts/vm/machine.js';

/** Marks the name of a suite that was skipped; the summary looks for it. */
export const SKIP_MARK = 'SKIPPED:';

export interface Requirement {
  /** What is missing, as the end of "needs …". */
  readonly what: string;
  /** What the user can do about it. */
  readonly remedy: string;
  /** True if not even CI can be expected to have it: the suite is then skipped by name there, too. */
  readonly isOptional?: boolean;
  isMet(): boolean;
}

/** A program from a Debian package that `npm run setup:peers` installs. */
export function command(name: string): Requirement {
  return { what: name, remedy: "run 'npm run setup:peers' as root", isMet: () => isInstalled(name) };
}

export const testpmd: Requirement = command('dpdk-testpmd');

export const ovs: Requirement = { ...command('OVS-DPDK'), isMet: isOvsInstalled };

export const root: Requirement = {
  what: 'root (it makes a network namespace)',
  remedy: 'run the tests as root',
  isMet: () => process.getuid?.() === 0,
};

export const tun: Requirement = {
  what: '/dev/net/tun',
  remedy: "load the kernel module with 'modprobe tun'",
  isMet: () => isReadWrite('/dev/net/tun'),
};

export const hugepages: Requirement = {
  what: 'the right to reserve hugepages',
  remedy: 'run the tests as root on a kernel with 2 MiB hugepages',
  isOptional: true,
  isMet: () => isReadWrite('/proc/sys/vm/nr_hugepages'),
};

/** A version of Node or TypeScript other than the project's own. */
export const version = (wanted: Version): Requirement => ({
  what: wanted.title,
  remedy: "run 'npm run setup:versions'",
  isMet: () => isHere(wanted),
});

/** What drivers/libc needs to do without koffi. */
export const nodeFfi: Requirement = {
  what: 'node:ffi that takes numbers (it is in Node 26.11 and newer)',
  remedy: 'run the tests with such a Node',
  isOptional: true,
  isMet: () => process.versions.node.localeCompare('26.11', 'en', { numeric: true }) >= 0,
};

/** The kernel and modules of scripts/vm. */
export const guest: Requirement = {
  what: 'a guest VM',
  remedy: "run 'npm run setup:peers' as root",
  isMet: () => findGuest() !== undefined,
};

/**
 * The vfio.ko of scripts/vm that works without an IOMMU. Whether it can be built depends on the present state of
 * Debian's mirror, so suites without it are skipped in CI as well.
 */
export const noIommu: Requirement = {
  what: 'a vfio.ko that works without an IOMMU',
  remedy: NO_IOMMU_REMEDY,
  isOptional: true,
  isMet: () => !guest.isMet() || isNoIommuPossible(),
};

/** What a test that drives a NIC in a guest of this mode needs besides {@link guest}. */
export const vfioRequirements = (mode: Machine['mode']): readonly Requirement[] =>
  mode === 'no-iommu' ? [noIommu] : [];

/** `describe` for a suite with requirements. */
export function describeWith(name: string, requirements: readonly Requirement[], suite: () => void): void {
  const missing = missingOf(requirements);
  if (missing === null) {
    describe(name, suite);
  } else if (missing.isFailure) {
    describe(name, () => {
      throw new Error(`${name} cannot run in CI: ${missing.reasons}`);
    });
  } else {
    describe.skip(`${name} ${SKIP_MARK} ${missing.reasons}`, suite);
  }
}

/** The same for one test of a suite: called first in the test, it skips the rest of the test, with the reason. */
export function requireForTest({ skip }: TestContext, requirements: readonly Requirement[]): void {
  const missing = missingOf(requirements);
  if (missing === null) return;
  if (missing.isFailure) throw new Error(`cannot run in CI: ${missing.reasons}`);
  skip(`${SKIP_MARK} ${missing.reasons}`);
}

/** What is missing, with remedies, and whether that is a failure; null where all requirements are met. */
function missingOf(requirements: readonly Requirement[]): { reasons: string; isFailure: boolean } | null {
  const missing = requirements.filter((requirement) => !requirement.isMet());
  if (missing.length === 0) return null;
  return {
    reasons: missing.map(({ what, remedy }) => `needs ${what}; ${remedy}`).join('; '),
    isFailure: Boolean(process.env.CI) && missing.some(({ isOptional }) => !isOptional),
  };
}
