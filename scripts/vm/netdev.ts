/** `--netdev` specs: the backend that QEMU connects to a guest's NIC, and the options of the NIC. See docs/vm.md. */

export interface Nic {
  /** QEMU's arguments for the device. */
  readonly device: string[];
  /** QEMU's arguments for the backend. */
  readonly backend: string[];
  /**
   * QEMU's arguments when the machine is booted and saved: an unconnected device. Absent when QEMU could not resume it.
   */
  readonly saved?: string[];
  /** The network namespace of the tap device, in which QEMU must run. */
  readonly namespace?: string;
  /** A socket that QEMU creates and does not remove. */
  readonly leftover?: string;
}

/** Options that are not part of a saved state, so a resumed machine can have them although the saved one did not. */
const NOT_SAVED = ['packed'];

/** Returns the PCI address of a NIC of the guest, by its place among the specs. */
export const nicAddress = (index: number): string => `0000:00:${(0x10 + index).toString(16)}.0`;

interface Backend {
  readonly netdev: string;
  readonly more?: string[];
  readonly namespace?: string;
  readonly leftover?: string;
  /** Device options that this backend needs. */
  readonly options?: Record<string, string>;
}

const BACKENDS: Record<string, (rest: string, id: string) => Backend> = {
  tap: (rest) => {
    const [name, namespace] = rest.split('@') as [string, string?];
    return { netdev: `tap,ifname=${name},script=no,downscript=no`, ...(namespace ? { namespace } : {}) };
  },
  dgram: (rest) => {
    const [local, remote] = pair(rest, 'LOCALPORT:REMOTEPORT').map(port);
    const host = '127.0.0.1';
    return {
      netdev:
        `dgram,local.type=inet,local.host=${host},local.port=${local},` +
        `remote.type=inet,remote.host=${host},remote.port=${remote}`,
    };
  },
  'dgram-unix': (rest) => {
    const [local, remote] = pair(rest, 'LOCALPATH:REMOTEPATH');
    return {
      netdev: `dgram,local.type=unix,local.path=${local},remote.type=unix,remote.path=${remote}`,
      leftover: local,
    };
  },
  'vhost-user': (rest, id) => vhostUser(id, rest),
  // QEMU waits for the backend to connect before it starts the machine.
  'vhost-user-server': (rest, id) => ({ ...vhostUser(id, `${rest},server=on`), leftover: rest }),
  hub: (rest) => ({ netdev: `hubport,hubid=${rest}` }),
};

/**
 * With a vhost-user backend and TCG, QEMU 7.2 crashes when the driver enables MSI-X. So there are no vectors by
 * default.
 */
function vhostUser(id: string, socket: string): Backend {
  return {
    netdev: `vhost-user,chardev=${id}-socket`,
    more: ['-chardev', `socket,id=${id}-socket,path=${socket}`],
    options: { vectors: '0' },
  };
}

function pair(text: string, form: string): [string, string] {
  const [first, second, ...rest] = text.split(':');
  if (!first || !second || rest.length > 0) throw new Error(`'${text}' is not ${form}`);
  return [first, second];
}

function port(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > 65535) throw new Error(`'${text}' is not a port`);
  return number;
}

/**
 * Reads `KIND:WHERE[,option=value…]`. Options go to QEMU's virtio-net-pci unchanged; `queues` sets device and backend.
 */
export function parseNetdev(spec: string, index: number, withIommu: boolean): Nic {
  const [where = '', ...settings] = spec.split(',');
  const [, kind = '', rest = ''] = where.match(/^([a-z-]+):(.+)$/) ?? [];
  const backendOf = BACKENDS[kind];
  if (backendOf === undefined) {
    const kinds = Object.keys(BACKENDS).join(', ');
    throw new Error(`--netdev ${spec}: unknown kind; want KIND:WHERE, where KIND is one of ${kinds}`);
  }
  const id = `net${index}`;
  let backend: Backend;
  try {
    backend = backendOf(rest, id);
  } catch (error) {
    throw new Error(`--netdev ${spec}: ${(error as Error).message}`);
  }
  const options: Record<string, string> = {
    addr: (0x10 + index).toString(16),
    romfile: '',
    'disable-legacy': 'on',
    ...(withIommu ? { iommu_platform: 'on', ats: 'on' } : {}),
    ...backend.options,
  };
  let netdev = `${backend.netdev},id=${id}`;
  for (const setting of settings) {
    const [name = '', value] = setting.split('=');
    if (!name || !value) throw new Error(`--netdev ${spec}: '${setting}' is not option=value`);
    if (name === 'queues') {
      netdev += `,queues=${value}`;
      options.mq = 'on';
      options.vectors ??= String(2 * Number(value) + 2);
    } else {
      options[name] = value;
    }
  }
  const deviceWithout = (names: readonly string[]): string[] => {
    const device = Object.entries(options).flatMap(([name, value]) =>
      names.includes(name) ? [] : [`${name}=${value}`],
    );
    return ['-device', ['virtio-net-pci', `netdev=${id}`, ...device].join()];
  };
  return {
    device: deviceWithout([]),
    backend: [...(backend.more ?? []), '-netdev', netdev],
    // A hub has only one queue pair.
    ...(options.mq === 'on'
      ? {}
      : { saved: ['-netdev', `hubport,hubid=${index},id=${id}`, ...deviceWithout(NOT_SAVED)] }),
    ...(backend.namespace === undefined ? {} : { namespace: backend.namespace }),
    ...(backend.leftover === undefined ? {} : { leftover: backend.leftover }),
  };
}
