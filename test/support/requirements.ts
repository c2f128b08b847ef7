/**
 * What a suite needs of the machine. Where something is missing the suite is skipped by name, with the reason and the
 * command that enables it (the summary repeats them at the end); in CI it fails instead, so that nothing is skipped there
 * that Debian packages and root make possible.
 */
import { describe } from 'vitest';
import { isOvsInstalled } from '../../scripts/ovs.js';
import { isInstalled, isReadWrite } from '../../scripts/programs.js';
import { findGuest } from '../../scripts/vm/cache.js';

/** Marks the name of a suite that was skipped; the summary looks for it. */
export const SKIP_MARK = 'SKIPPED:';

export interface Requirement {
  /** What is missing, as the end of "needs …". */
  readonly what: string;
  /** What the user does about it. */
  readonly remedy: string;
  /** True where not even CI can be expected to have it: the suite is then skipped by name there, too. */
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

export const fuse: Requirement = {
  what: '/dev/fuse and the right to mount',
  remedy: "run the tests as root, and load the kernel module with 'modprobe fuse'",
  isOptional: true,
  isMet: () => isReadWrite('/dev/fuse') && process.getuid?.() === 0,
};

/** The kernel and modules of scripts/vm. */
export const guest: Requirement = {
  what: 'a guest VM',
  remedy: "run 'npm run setup:peers' as root",
  isMet: () => findGuest() !== undefined,
};

/** `describe` for a suite with requirements. */
export function describeWith(name: string, requirements: readonly Requirement[], suite: () => void): void {
  const missing = requirements.filter((requirement) => !requirement.isMet());
  if (missing.length === 0) {
    describe(name, suite);
    return;
  }
  const reasons = missing.map(({ what, remedy }) => `needs ${what}; ${remedy}`).join('; ');
  if (process.env.CI && missing.some(({ isOptional }) => !isOptional)) {
    describe(name, () => {
      throw new Error(`${name} cannot run in CI: ${reasons}`);
    });
    return;
  }
  describe.skip(`${name} ${SKIP_MARK} ${reasons}`, suite);
}
