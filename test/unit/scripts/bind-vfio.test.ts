/**
 * scripts/bind-vfio.sh on a folder that looks like sysfs: its messages and refusals. The tests in guests see that the
 * kernel then binds.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeSysfs } from '../../support/pci/fake-sysfs.js';
import { command, describeWith } from '../../support/requirements.js';
import { temporaryDirectory } from '../../support/resources.js';

const SCRIPT = fileURLToPath(new URL('../../../scripts/bind-vfio.sh', import.meta.url));
const NIC = '0000:00:04.0';

let directory: ReturnType<typeof temporaryDirectory>;
let fake: FakeSysfs;

beforeEach(() => {
  directory = temporaryDirectory();
  fake = new FakeSysfs(join(directory.path, 'sys'));
  for (const folder of ['bin', 'proc/net', 'run']) mkdirSync(join(directory.path, folder), { recursive: true });
  // No interface has an address, and no module can be loaded that is not there already.
  program('ip', 'exit 0');
  program('modprobe', 'exit 1');
});
afterEach(() => directory.remove());

function program(name: string, script: string): void {
  const path = join(directory.path, 'bin', name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

function loadModules(): void {
  fake.folder('bus/pci/drivers/vfio-pci');
  fake.folder('module/vfio_iommu_type1');
}

function run(...args: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(SCRIPT, args, {
    encoding: 'utf8',
    timeout: 10_000,
    env: {
      PATH: `${join(directory.path, 'bin')}:${process.env.PATH}`,
      TSPMD_SYSFS: fake.root,
      TSPMD_PROC: join(directory.path, 'proc'),
      TSPMD_DEV: '/dev',
      TSPMD_RUN: join(directory.path, 'run'),
    },
  });
  return { code: status, out: stdout, err: stderr };
}

/** Expects that it fails with one line that matches. */
function fails(expected: RegExp, ...args: string[]): void {
  const { code, out, err } = run(...args);
  expect(err).toMatch(expected);
  expect(err).toMatch(/^bind-vfio\.sh: [^\n]+\n$/);
  expect([code, out]).toEqual([1, '']);
}

const written = (path: string): string => readFileSync(join(fake.root, path), 'utf8').trim();

describe('bind-vfio.sh', () => {
  it.each([
    [[], /the address of the NIC is missing/],
    [['--unbind'], /the address of the NIC is missing/],
    [['eth0'], /'eth0' is neither a PCI address .* nor the interface/],
    [['--frobnicate'], /unknown option/],
    [['00:04.0', '00:05.0'], /more than one address: '00:04\.0' and '00:05\.0'/],
    [['00:04.0', '--hugepages', 'many'], /--hugepages takes a number, not 'many'/],
    [['00:04.0', '--hugepages'], /--hugepages takes a number/],
    [['--status', '--hugepages', '8'], /--hugepages cannot be used with --status/],
    [['--unbind', '--status', '00:04.0'], /--unbind and --status exclude each other/],
  ])('refuses wrong usage with exit code 2: %j', (args, expected) => {
    const { code, err } = run(...args);
    expect(err).toMatch(expected);
    expect(code).toBe(2);
  });

  it('refuses an address without a device, and a device that is no NIC', () => {
    fails(/0000:00:04\.0: there is no such PCI device/, '00:04.0');
    fake.add(NIC, { classCode: 0x060100 });
    fails(/this is not a NIC \(PCI class 0x060100\)/, NIC);
    fails(/this is not a NIC/, '--unbind', NIC);
  });

  it('refuses a NIC without an IOMMU group, unless no-IOMMU is asked for', () => {
    fake.add(NIC, { driver: 'virtio-pci', interfaces: ['eth0'] });
    fails(/no IOMMU group: switch the IOMMU on .*, or use --no-iommu/, NIC);
    fake.folder('module/vfio');
    fails(/built without CONFIG_VFIO_NOIOMMU/, NIC, '--no-iommu');
  });

  it('refuses no-IOMMU where there is an IOMMU', () => {
    fake.add(NIC, { driver: 'virtio-pci', group: '3' });
    fails(/it has an IOMMU \(group 3\); --no-iommu would give up its protection/, NIC, '--no-iommu');
  });

  it('refuses a NIC that is up with an address, not one that is only up', () => {
    fake.add(NIC, { driver: 'virtio-pci', group: '3', interfaces: ['eth0'] });
    fake.file('class/net/eth0/flags', '0x1003');
    fails(/the kernel module vfio_iommu_type1 cannot be loaded/, NIC);
    program('ip', 'echo "2: eth0    inet 10.0.0.5/24 brd 10.0.0.255 scope global eth0"');
    fails(/its interface eth0 is up with the address 10\.0\.0\.5\/24; take it down .*, or use --force/, NIC);
    fails(/the kernel module vfio_iommu_type1 cannot be loaded/, NIC, '--force');
    fake.file('class/net/eth0/flags', '0x1002');
    fails(/the kernel module vfio_iommu_type1 cannot be loaded/, NIC);
  });

  it.each(['br0', 'bond0', 'eth0.5'])('refuses a NIC that is up under %s, which has the addresses', (upper) => {
    fake.add(NIC, { driver: 'virtio-pci', group: '3', interfaces: ['eth0'] });
    fake.file('class/net/eth0/flags', '0x1003');
    fake.link(`class/net/eth0/upper_${upper}`, 'class/net');
    fails(new RegExp(`its interface eth0 is up under ${upper}; take it down first .*, or use --force`), NIC);
    fails(/the kernel module vfio_iommu_type1 cannot be loaded/, NIC, '--force');
  });

  it.each([
    ['IPv4', 'route', 'eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0'],
    ['IPv6', 'ipv6_route', `${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00 fe80${'0'.repeat(27)}1 1 1 0 3 eth0`],
  ])('refuses the NIC on the way to the default gateway: %s', (_, file, line) => {
    fake.add(NIC, { driver: 'virtio-pci', group: '3', interfaces: ['eth0'] });
    writeFileSync(join(directory.path, 'proc/net', file), `${line}\n`);
    fails(/its interface eth0 leads to the default gateway/, NIC);
  });

  it('chooses vfio-pci, and gives the NIC back if vfio-pci does not take it', () => {
    loadModules();
    fake.add(NIC, { driver: 'virtio-pci', group: '3' });
    // Nothing binds anything here: the NIC stays with its driver, as after a failed probe.
    fails(/vfio-pci does not accept it, so it has its former driver again/, NIC);
    expect(written('bus/pci/drivers/virtio-pci/unbind')).toBe(NIC);
    expect(written('bus/pci/drivers_probe')).toBe(NIC);
    expect(written(`bus/pci/devices/${NIC}/driver_override`)).toBe('');
    expect(readFileSync(join(directory.path, 'run/tspmd/driver-of', NIC), 'utf8')).toBe('virtio-pci\n');
  });

  it('does nothing for a NIC that is bound already', () => {
    fake.add(NIC, { driver: 'vfio-pci', group: '3' });
    const expected = { code: 0, out: `${NIC} is bound to vfio-pci, IOMMU group 3 (/dev/vfio/3)\n`, err: '' };
    expect(run('00:04.0')).toEqual(expected);
    expect(run(NIC.toUpperCase())).toEqual(expected);
    expect(written(`bus/pci/devices/${NIC}/driver_override`)).toBe('(null)');
  });

  it('takes the name of an interface for its NIC', () => {
    fake.add(NIC, { driver: 'virtio-pci', interfaces: ['eth0'] });
    fake.link('class/net/eth0/device', `bus/pci/devices/${NIC}/virtio0`);
    fails(/^bind-vfio\.sh: 0000:00:04\.0: it has no IOMMU group/, 'eth0');
  });

  it('says which devices keep the group from being viable', () => {
    fake.add(NIC, { driver: 'vfio-pci', group: '3' });
    fake.add('0000:00:04.1', { driver: 'e1000e', group: '3' });
    fake.add('0000:00:04.2', { driver: 'pcieport', group: '3' });
    fake.add('0000:00:04.3', { group: '3' });
    fake.add('0000:00:04.4', { driver: 'ahci', group: '3' });
    fails(/group 3 is not viable: unbind 0000:00:04\.1 \(e1000e\), 0000:00:04\.4 \(ahci\) from its driver/, NIC);
  });

  it('does not unbind a NIC that is in use, or one that is not bound', () => {
    fake.add(NIC, { driver: 'virtio-pci', group: '3' });
    expect(run('--unbind', NIC)).toMatchObject({ code: 0, out: expect.stringContaining('nothing to do') });
    fake.add('0000:00:05.0', { driver: 'vfio-pci', group: '4' });
    mkdirSync(join(directory.path, 'proc/123/fd'), { recursive: true });
    symlinkSync('/dev/vfio/4', join(directory.path, 'proc/123/fd/20'));
    fails(/process 123 uses it: stop that process first/, '--unbind', '0000:00:05.0');
  });

  it('says when the old driver is not there any more', () => {
    fake.add(NIC, { driver: 'vfio-pci', group: '3' });
    fake.file('../run/tspmd/driver-of/0000:00:04.0', 'gone');
    fails(/its former driver gone is not loaded: load it with modprobe/, '--unbind', NIC);
  });

  it('reserves as many hugepages as are missing', () => {
    fake.add(NIC, { driver: 'vfio-pci', group: '3' });
    fake.hugepages(64);
    expect(run(NIC, '--hugepages', '64').out).not.toMatch(/hugepages/);
    expect(run(NIC, '--hugepages', '65').out).toMatch(/^65 hugepages of 2 MiB are reserved$/m);
    expect(written('kernel/mm/hugepages/hugepages-2048kB/nr_hugepages')).toBe('65');
  });

  it('reserves no hugepages that would take all memory, nor for a refused NIC', () => {
    const reserved = (): string => written('kernel/mm/hugepages/hugepages-2048kB/nr_hugepages');
    fake.hugepages(64);
    fails(/there is no such PCI device/, NIC, '--hugepages', '70');
    fake.add(NIC, { driver: 'vfio-pci', group: '3' });
    writeFileSync(join(directory.path, 'proc/meminfo'), 'MemTotal: 1000000 kB\nMemAvailable:  204800 kB\n');
    fails(
      /165 hugepages of 2 MiB \(64 are reserved\) need 202 MiB more, and 200 MiB are available: ask for fewer/,
      ...[NIC, '--hugepages', '165'],
    );
    expect(reserved()).toBe('64');
    expect(run(NIC, '--hugepages', '164').code).toBe(0);
    expect(reserved()).toBe('164');
  });

  it('shows the state of all NICs, and of one', () => {
    fake.hugepages(8, 3);
    fake.add('0000:00:01.0', { classCode: 0x060100 });
    fake.add(NIC, { driver: 'virtio-pci', interfaces: ['eth0'] });
    fake.add('0000:00:05.0', { driver: 'vfio-pci', group: '0' });
    fake.file('kernel/iommu_groups/0/name', 'vfio-noiommu');
    expect(run('--status').out).toBe(
      `${NIC}  driver virtio-pci (eth0)
  no IOMMU group: switch the IOMMU on, or bind it with --no-iommu
0000:00:05.0  driver vfio-pci
  no IOMMU (group 0 of VFIO's no-IOMMU mode)
  ready for tspmd
hugepages of 2 MiB: 8 reserved, 3 free
`,
    );
    expect(run('--status', '00:05.0').out).not.toMatch(/04\.0/);
  });
});

describeWith('the shell scripts', [command('shellcheck')], () => {
  it('are clean by shellcheck', () => {
    const scripts = ['bind-vfio.sh', 'setup-peers.sh', 'vm/init', 'vm/example.sh'].map((name) =>
      join(SCRIPT, '..', name),
    );
    const { status, stdout, error } = spawnSync('shellcheck', scripts, { encoding: 'utf8', timeout: 20_000 });
    expect(stdout, error?.message).toBe('');
    expect(status).toBe(0);
  });
});
