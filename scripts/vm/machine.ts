/** QEMU's command line for a guest. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { initramfs } from './initramfs.js';
import { type Nic, parseNetdev } from './netdev.js';

/**
 * iommu: an emulated Intel IOMMU. no-iommu: no IOMMU, and a vfio.ko that works without one. none: no IOMMU, and
 * Debian's vfio.ko.
 */
export type Mode = 'iommu' | 'no-iommu' | 'none';

export interface Machine {
  readonly mode: Mode;
  readonly cpus: number;
  /** Memory in MiB. */
  readonly memory: number;
  /** Number of hugepages of 2 MiB, which are reserved at boot. */
  readonly hugepages: number;
  /** `--netdev` specs. */
  readonly netdevs: readonly string[];
  /** Whether the guest has the module virtio_net. */
  readonly kernelDriver: boolean;
  /**
   * Whether the guest's clock counts instructions, and jumps while the guest waits: its times do not depend on the load
   * of the host.
   */
  readonly virtualTime: boolean;
  /** A folder of the host that the guest can write to, at the same absolute path. */
  readonly share?: string;
}

/** File descriptors of sockets that QEMU inherits: the console, the virtio-serial ports, and QEMU's monitor. */
export const PORTS = { console: 3, ctl: 4, in: 5, out: 6, err: 7, monitor: 8 } as const;
/** File descriptors of files that QEMU inherits: the guest's memory, and the saved state of its devices. */
export const FILES = { memory: 9, devices: 10 } as const;

/** The machine that most tests need. */
export const DEFAULTS: Machine = {
  mode: 'iommu',
  cpus: 1,
  memory: 1024,
  hugepages: 64,
  netdevs: [],
  kernelDriver: false,
  virtualTime: false,
};

export interface CommandLine {
  readonly program: string;
  readonly args: readonly string[];
  /** Sockets that QEMU creates and does not remove. */
  readonly leftovers: readonly string[];
}

export interface CommandLines {
  /** Starts the machine from power-on. When there is `resume`, its NICs are not connected. */
  readonly boot: CommandLine;
  /** Resumes the machine from a state that was saved after `boot`. Absent when this machine cannot be saved. */
  readonly resume?: CommandLine;
}

/** Returns the command lines of a machine with the guest in the folder `guest`. Throws when a netdev spec is wrong. */
export function commandLines(guest: string, machine: Machine): CommandLines {
  const { share } = machine;
  if (share !== undefined && !statSync(share, { throwIfNoEntry: false })?.isDirectory()) {
    throw new Error(`--share ${share}: there is no such folder`);
  }
  const nics = machine.netdevs.map((spec, index) => parseNetdev(spec, index, machine.mode === 'iommu'));
  const namespace = oneNamespace(nics);
  const leftovers = nics.flatMap(({ leftover }) => (leftover === undefined ? [] : [leftover]));
  const machineOnly = machineArgs(guest, machine);
  const args = (shared: string | undefined, nicArgs: readonly string[]): string[] => [
    ...machineOnly,
    ...folder('host', '/', ',readonly=on'),
    ...(shared === undefined ? [] : folder('share', shared)),
    ...nicArgs,
  ];
  const whole = args(
    share,
    nics.flatMap(({ backend, device }) => [...backend, ...device]),
  );
  if (nics.some(({ saved }) => saved === undefined)) return { boot: wrapped(whole, namespace, leftovers) };
  // The saved machine shares '/', because a share is only mounted after the resume.
  const bare = args(
    share === undefined ? undefined : '/',
    nics.flatMap(({ saved }) => saved ?? []),
  );
  const resume = [...whole, '-incoming', 'defer'];
  return { boot: wrapped(bare, undefined, []), resume: wrapped(resume, namespace, leftovers) };
}

/**
 * Makes the machine end with this process, even when this process is killed. ip and setpriv exec QEMU, so the pid
 * stays.
 */
function wrapped(args: readonly string[], namespace: string | undefined, leftovers: readonly string[]): CommandLine {
  const prefix = ['setpriv', '--pdeathsig', 'KILL', '--', 'qemu-system-x86_64'];
  if (namespace !== undefined) prefix.unshift('ip', 'netns', 'exec', namespace);
  return { program: prefix[0]!, args: [...prefix.slice(1), ...args], leftovers };
}

function oneNamespace(nics: readonly Nic[]): string | undefined {
  const names = new Set(nics.flatMap(({ namespace }) => (namespace === undefined ? [] : [namespace])));
  if (names.size > 1) {
    throw new Error(`tap devices in different network namespaces (${[...names].join(', ')}): QEMU can run in only one`);
  }
  return [...names][0];
}

function machineArgs(guest: string, machine: Machine): string[] {
  const withIommu = machine.mode === 'iommu';
  const kernel = [
    'console=ttyS0 panic=-1 quiet',
    'mitigations=off tsc=reliable no_timer_check', // an emulated CPU does not need these, or cannot do them
    'init_on_alloc=0 cryptomgr.notests rodata=off noreplace-smp lsm=', // these save 1.5 s of the boot
    `hugepages=${machine.hugepages}`,
    withIommu ? 'intel_iommu=on' : '',
  ];
  // 2 ns per instruction. It needs one thread for all vCPUs.
  const clock = machine.virtualTime ? ['-accel', 'tcg,thread=single', '-icount', 'shift=1,sleep=off'] : undefined;
  const split = withIommu ? ',kernel-irqchip=split' : '';
  return [
    ...(clock ?? ['-accel', 'tcg,thread=multi']),
    // With erms, the C library and the kernel copy by `rep movsb`, which QEMU emulates byte by byte: five times slower.
    ...['-cpu', 'max,la57=off,erms=off', '-smp', String(machine.cpus)],
    ...['-machine', `q35,sata=off,smbus=off,i8042=off,memory-backend=memory${split}`],
    ...['-nodefaults', '-display', 'none', '-no-reboot', '-m', String(machine.memory)],
    // Shared memory, so that a vhost-user backend can map it; a memfd, so that the backend can seal it.
    '-object',
    `memory-backend-file,id=memory,size=${machine.memory}M,share=on,mem-path=/proc/self/fd/${FILES.memory}`,
    ...['-kernel', join(guest, 'vmlinux'), '-initrd', initramfs(guest), '-append', kernel.filter(Boolean).join(' ')],
    ...(withIommu ? ['-device', 'intel-iommu,intremap=on,caching-mode=on,device-iotlb=on'] : []),
    ...['-chardev', `socket,id=console,fd=${PORTS.console}`, '-serial', 'chardev:console'],
    ...['-chardev', `socket,id=monitor,fd=${PORTS.monitor}`, '-mon', 'chardev=monitor,mode=control'],
    ...['-device', 'vmgenid,guid=auto', '-device', 'virtio-serial-pci'],
    ...(['ctl', 'in', 'out', 'err'] as const).flatMap((name) => [
      ...['-chardev', `socket,id=${name},fd=${PORTS[name]}`],
      ...['-device', `virtserialport,chardev=${name},name=${name}`],
    ]),
  ];
}

/** Returns the arguments that share a folder by 9p. QEMU's options need two commas for one. */
function folder(tag: string, path: string, more = ''): string[] {
  return [
    '-fsdev',
    `local,id=${tag},path=${path.replaceAll(',', ',,')},security_model=none,multidevs=remap${more}`,
    ...['-device', `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`],
  ];
}
