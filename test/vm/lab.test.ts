/** The VM lab itself: a guest boots in each mode, has what tests rely on, and leaves nothing behind. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
} from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { NetworkNamespace } from '../../scripts/netns.js';
import { cacheFolder, findGuest } from '../../scripts/vm/cache.js';
import { Guest } from '../../scripts/vm/guest.js';
import { nicAddress } from '../../scripts/vm/netdev.js';
import { bound, freePort } from '../support/peers/dgram-link.js';
import { expectAnswers } from '../support/peers/kernel-ping.js';
import { command, describeWith, guest, noIommu, requireForTest, root, tun } from '../support/requirements.js';

const BOOT_TIMEOUT_MS = 120_000;
const NIC = nicAddress(0);
const SYSFS = `/sys/bus/pci/devices/${NIC}`;
/** Gives the NIC to vfio-pci. */
const BIND = [
  'modprobe -a vfio-pci vfio_iommu_type1',
  `echo vfio-pci >${SYSFS}/driver_override`,
  `echo ${NIC} >${SYSFS}/driver/unbind`,
  `echo ${NIC} >/sys/bus/pci/drivers_probe`,
].join('; ');

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

const shell = (...lines: string[]): string[] => ['sh', '-c', `set -e; ${lines.join('; ')}`];

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tspmd-lab-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Whether QEMU's end of a datagram link is gone. */
async function isFree(port: number): Promise<boolean> {
  try {
    (await bound(port)).close();
    return true;
  } catch {
    return false;
  }
}

describeWith('VM lab', [command('qemu-system-x86_64'), guest], () => {
  describe('a command', () => {
    it('gives its output, its errors and its status', async () => {
      const result = await Guest.run({ mode: 'none', command: shell('echo "out $0"', 'echo err >&2', 'exit 3') });
      expect(result).toEqual({ code: 3, stdout: 'out sh\n', stderr: 'err\n' });
    });

    it('loses nothing of a long output, and passes arguments unchanged', async () => {
      const script = 'process.stdout.write(Buffer.alloc(5e6, process.argv[1]));';
      const { code, stdout } = await Guest.run({ mode: 'none', command: ['node', '-e', script, "a 'b' $c\n"] });
      expect(code).toBe(0);
      expect(stdout.length).toBe(5e6);
      expect(stdout.startsWith("a 'b' $c")).toBe(true);
    });

    it('streams its lines, reads what is written to it, and ends when it is stopped', async () => {
      const child = Guest.start({ mode: 'none', command: shell('echo ready', 'read word', 'echo "got $word"', 'cat') });
      await child.waitFor(/^ready$/m, BOOT_TIMEOUT_MS);
      child.write('hello\n');
      await child.waitFor(/^got hello$/m);
      expect((await child.stop()).code).toBe(128 + 15);
    });

    it('has the same files, keeps its changes to itself, and can write to the share', async () => {
      const share = temporaryFolder();
      const { code, stdout } = await Guest.run({
        mode: 'none',
        share,
        command: shell('echo changed >package.json', 'cat package.json', `node -p process.version >${share}/version`),
      });
      expect({ code, stdout }).toEqual({ code: 0, stdout: 'changed\n' });
      expect(readFileSync(join(share, 'version'), 'utf8')).toBe(`${process.version}\n`);
      expect(readFileSync('package.json', 'utf8')).toContain('"name": "tspmd"');
    });
  });

  describe('a machine', () => {
    it('in virtual time does not wait for its timers', async () => {
      const command = shell('date +%s', 'sleep 3600', 'date +%s');
      const { code, stdout } = await Guest.run({ mode: 'none', virtualTime: true, command });
      const [before, after] = stdout.split('\n').map(Number);
      expect(code).toBe(0);
      expect(after! - before!).toBeGreaterThanOrEqual(3600);
    });

    it('has an IOMMU, the NIC alone in its group, vCPUs, and hugepages', async () => {
      const { code, stdout, stderr } = await Guest.run({
        mode: 'iommu',
        cpus: 2,
        hugepages: 24,
        netdevs: ['hub:0'],
        command: shell(
          `cat ${SYSFS}/vendor ${SYSFS}/device /proc/sys/vm/nr_hugepages`,
          'nproc',
          BIND,
          `ls ${SYSFS}/iommu_group/devices`,
          `test -c /dev/vfio/$(basename $(readlink ${SYSFS}/iommu_group))`,
        ),
      });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout.split('\n')).toEqual(['0x1af4', '0x1041', '24', '2', NIC, '']);
    });

    it('has no IOMMU, but a vfio.ko that can do without one', async (context) => {
      requireForTest(context, [noIommu]);
      const unsafe = 'echo 1 >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode';
      const { code, stdout } = await Guest.run({
        mode: 'no-iommu',
        netdevs: ['hub:0'],
        command: shell('modprobe vfio', unsafe, BIND, 'ls /dev/vfio'),
      });
      expect({ code, stdout }).toEqual({ code: 0, stdout: 'noiommu-0\nvfio\n' });
    });

    it('has neither, as Debian ships it', async () => {
      const { code, stdout } = await Guest.run({
        mode: 'none',
        command: shell(
          'modprobe vfio',
          'ls /sys/module/vfio',
          'ls /sys/kernel/iommu_groups',
          '! modprobe -q virtio_net',
        ),
      });
      expect(code).toBe(0);
      expect(stdout).not.toContain('parameters');
    });
  });

  describe('a saved machine', () => {
    it('differs each time it is resumed: in its time and in its random numbers', async () => {
      const uuids = new Set<string>();
      for (let time = 0; time < 3; time++) {
        const { stdout } = await Guest.run({
          mode: 'none',
          command: shell('cat /proc/sys/kernel/random/uuid', 'date +%s'),
        });
        const [uuid, seconds] = stdout.trim().split('\n');
        uuids.add(uuid!);
        expect(Math.abs(Date.now() / 1000 - Number(seconds))).toBeLessThan(30);
      }
      expect(uuids.size).toBe(3);
    });

    it('is made if there is none; a broken one is reported in one line with what to do', async () => {
      const built = findGuest()!;
      const cache = temporaryFolder();
      vi.stubEnv('XDG_CACHE_HOME', cache);
      cleanups.push(() => vi.unstubAllEnvs());
      const folder = join(cacheFolder(), basename(built));
      mkdirSync(folder, { recursive: true });
      for (const name of readdirSync(built)) {
        if (!name.startsWith('saved-')) symlinkSync(join(built, name), join(folder, name));
      }
      const run = () => Guest.run({ mode: 'none', command: ['echo', 'fine'] });
      expect((await run()).stdout).toBe('fine\n');
      const saved = readdirSync(folder).filter((name) => name.startsWith('saved-'));
      expect(saved).toHaveLength(1);
      truncateSync(join(folder, saved[0]!, 'devices'), 1000);
      await expect(run()).rejects.toThrow(
        /^QEMU ended with status 1: .*migration failed.*; 'npm run setup:peers' removes all saved machines/s,
      );
    });
  });

  describe('a NIC', () => {
    it("sends the frames of the kernel's driver to a datagram peer", async () => {
      const peer = await bound();
      cleanups.push(() => peer.close());
      const frame = new Promise<Buffer>((resolve) => {
        peer.on('message', (message) => {
          // The kernel may also announce its own address.
          const asked = message.subarray(38, 42);
          if (message.readUInt16BE(12) === 0x0806 && asked.equals(Buffer.from([10, 9, 0, 1]))) resolve(message);
        });
      });
      const { port } = peer.address() as AddressInfo;
      const { code } = await Guest.run({
        mode: 'iommu',
        kernelDriver: true,
        netdevs: [`dgram:${await freePort()}:${port},mac=52:54:00:00:00:2a`],
        command: shell(
          'modprobe -a virtio_net af_packet',
          'ip link set eth0 up',
          'ip addr add 10.9.0.2/24 dev eth0',
          'ping -c 1 -w 1 10.9.0.1 || true',
        ),
      });
      expect(code).toBe(0);
      const who = await frame;
      expect(who.toString('hex', 6, 12)).toBe('52540000002a');
    });
  });

  describe('nothing is left', () => {
    it('when the time is over', async () => {
      const folder = temporaryFolder();
      const [local, remote] = [join(folder, 'local'), join(folder, 'remote')];
      const port = await freePort();
      const run = Guest.run({
        mode: 'none',
        timeout: 5,
        netdevs: [`dgram:${port}:9`, `dgram-unix:${local}:${remote}`],
        command: ['sleep', '600'],
      });
      await expect(run).rejects.toThrow(/did not end within 5 s/);
      // Its port is free again: the machine is gone.
      expect(await isFree(port)).toBe(true);
      expect(existsSync(local)).toBe(false);
    });

    it('when the lab is killed', async () => {
      const port = await freePort();
      const child = Guest.start({
        mode: 'none',
        netdevs: [`dgram:${port}:9`],
        command: shell('echo ready', 'sleep 600'),
      });
      await child.waitFor(/^ready$/m, BOOT_TIMEOUT_MS);
      expect(await isFree(port)).toBe(false);
      child.signal('SIGKILL');
      await child.exited;
      await expect.poll(() => isFree(port), { timeout: 5_000 }).toBe(true);
    });

    it('when QEMU refuses, which is one line', async () => {
      const run = Guest.run({ mode: 'none', netdevs: ['vhost-user:/nonexistent'], command: ['true'] });
      await expect(run).rejects.toThrow(/^QEMU ended with status 1: .*'\/nonexistent': No such file or directory/);
    });

    it('when the guest dies, and its last words are reported', async () => {
      const run = Guest.run({ mode: 'none', command: shell('echo c >/proc/sysrq-trigger') });
      await expect(run).rejects.toThrow(/the guest ended before the command did[\s\S]*Kernel panic/);
    });
  });
});

describeWith('VM lab, with the kernel as the peer', [command('qemu-system-x86_64'), guest, root, tun], () => {
  it('answers pings from a network namespace, over a tap device', async () => {
    const namespace = NetworkNamespace.create();
    cleanups.push(() => namespace.remove());
    namespace.addTap('tap0', '10.9.0.1/24');
    const child = Guest.start({
      mode: 'iommu',
      kernelDriver: true,
      netdevs: [`tap:tap0@${namespace.name}`],
      command: shell(
        'modprobe virtio_net',
        'ip addr add 10.9.0.2/24 dev eth0',
        'ip link set eth0 up',
        'echo ready',
        'sleep 600',
      ),
    });
    try {
      await child.waitFor(/^ready$/m, BOOT_TIMEOUT_MS);
      await expectAnswers(namespace, '10.9.0.2', { count: 3, interval: 0.2 });
    } finally {
      await child.stop();
    }
  });
});
