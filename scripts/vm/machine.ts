/** QEMU's command line for a guest. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { initramfs } from './initramfs.js';
import { type Nic, parseNetdev } from './netdev.js';

/** iommu: Intel's, emulated. no-iommu: none, and a vfio.ko that can do without. none: none, and Debian's vfio.ko. */
export type Mode = 'iommu' | 'no-iommu' | 'none';

export interface Machine {
  readonly mode: Mode;
  readonly cpus: number;
  /** MiB. */
  readonly memory: number;
  /** Of 2 MiB, reserved at boot. */
  readonly hugepages: number;
  /** `--netdev` specs. */
  readonly netdevs: readonly string[];
  /** Whether the guest has virtio_net as a module. */
  readonly kernelDriver: boolean;
  /** A folder that the guest may write to, at its own absolute path. */
  readonly share?: string;
}

/** Virtio-serial ports, each a socket that QEMU inherits under the number. */
export const PORTS = { console: 3, ctl: 4, in: 5, out: 6, err: 7 } as const;

/** What most tests need. */
export const DEFAULTS: Machine = {
  mode: 'iommu',
  cpus: 1,
  memory: 1024,
  hugepages: 64,
  netdevs: [],
  kernelDriver: false,
};

export interface CommandLine {
  readonly program: string;
  readonly args: string[];
  /** Sockets that QEMU leaves behind. */
  readonly leftovers: string[];
}

/** The command line of a guest from a built guest's folder. Throws on a wrong netdev spec. */
export function commandLine(guest: string, machine: Machine): CommandLine {
  if (machine.share !== undefined && !statSync(machine.share, { throwIfNoEntry: false })?.isDirectory()) {
    throw new Error(`--share ${machine.share}: no such folder`);
  }
  const withIommu = machine.mode === 'iommu';
  const nics = machine.netdevs.map((spec, index) => parseNetdev(spec, index, withIommu));
  const namespace = oneNamespace(nics);
  // The machine ends with this process, however that ends. ip and setpriv become QEMU: the pid stays.
  const prefix = ['setpriv', '--pdeathsig', 'KILL', '--', 'qemu-system-x86_64'];
  if (namespace !== undefined) prefix.unshift('ip', 'netns', 'exec', namespace);
  const [program, ...args] = [...prefix, ...machineArgs(guest, machine), ...nics.flatMap((nic) => nic.args)];
  return {
    program: program!,
    args,
    leftovers: nics.flatMap(({ leftover }) => (leftover === undefined ? [] : [leftover])),
  };
}

function oneNamespace(nics: readonly Nic[]): string | undefined {
  const names = new Set(nics.flatMap(({ namespace }) => (namespace === undefined ? [] : [namespace])));
  if (names.size > 1) {
    throw new Error(`taps in different network namespaces (${[...names].join(', ')}): QEMU runs in one of them only`);
  }
  return [...names][0];
}

function machineArgs(guest: string, machine: Machine): string[] {
  const withIommu = machine.mode === 'iommu';
  const kernel = [
    'console=ttyS0 panic=-1 quiet',
    'mitigations=off tsc=reliable no_timer_check', // what an emulated CPU needs not, or cannot do
    'init_on_alloc=0 cryptomgr.notests rodata=off noreplace-smp lsm=', // a second and a half of the boot
    `hugepages=${machine.hugepages}`,
    `vm.mode=${machine.mode}`,
    withIommu ? 'intel_iommu=on' : '',
    machine.kernelDriver ? 'vm.kernel-driver=1' : '',
    machine.share === undefined ? '' : `vm.share=${Buffer.from(machine.share).toString('base64')}`,
  ];
  const split = withIommu ? ',kernel-irqchip=split' : '';
  return [
    ...['-accel', 'tcg,thread=multi', '-cpu', 'max,la57=off', '-smp', String(machine.cpus)],
    ...['-machine', `q35,sata=off,smbus=off,i8042=off,memory-backend=memory${split}`],
    ...['-nodefaults', '-display', 'none', '-no-reboot', '-m', String(machine.memory)],
    // Shared, so that a vhost-user backend can map it.
    ...['-object', `memory-backend-memfd,id=memory,size=${machine.memory}M,share=on`],
    ...['-kernel', join(guest, 'vmlinux'), '-initrd', initramfs(guest), '-append', kernel.filter(Boolean).join(' ')],
    ...(withIommu ? ['-device', 'intel-iommu,intremap=on,caching-mode=on,device-iotlb=on'] : []),
    ...['-chardev', `socket,id=console,fd=${PORTS.console}`, '-serial', 'chardev:console'],
    ...['-device', 'virtio-serial-pci'],
    ...(['ctl', 'in', 'out', 'err'] as const).flatMap((name) => [
      ...['-chardev', `socket,id=${name},fd=${PORTS[name]}`],
      ...['-device', `virtserialport,chardev=${name},name=${name}`],
    ]),
    ...folder('host', '/', ',multidevs=remap,readonly=on'),
    ...(machine.share === undefined ? [] : folder('share', machine.share, ',multidevs=remap')),
  ];
}

/** Shares a folder by 9p. A comma in QEMU's options is written twice. */
function folder(tag: string, path: string, more: string): string[] {
  return [
    ...['-fsdev', `local,id=${tag},path=${path.replaceAll(',', ',,')},security_model=none${more}`],
    ...['-device', `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`],
  ];
}
