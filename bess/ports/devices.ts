/** The devices behind ports: vhost-user sockets, tap interfaces, and other interfaces of the kernel. One reactor watches their files. */
import { Reactor } from '../../drivers/libc/index.js';
import { WindowAllocator } from '../../drivers/memory/index.js';
import type { PacketEndpoint } from '../../drivers/packet-endpoint.js';
import { AfPacketDevice } from '../../drivers/transports/af-packet/device.js';
import { TapDevice } from '../../drivers/transports/tap.js';
import { VhostUserBackend } from '../../drivers/transports/vhost-user/backend.js';
import type { PeerFiles } from '../../drivers/transports/vhost-user/peer-memory.js';
import { BessError } from '../errors.js';
import type { DeviceFactory } from './pmd-port.js';
import type { PortDevice } from './port.js';
import type { AfPacketVdev, TapVdev, VhostVdev } from './vdev.js';

/** A vhost-user socket with its backend. */
class VhostDevice implements PortDevice {
  onChange: (() => void) | null = null;
  onNotice: ((line: string, kind: string) => void) | null = null;

  constructor(
    private readonly backend: VhostUserBackend,
    private readonly path: string,
  ) {
    backend.onChange = () => this.onChange?.();
    backend.onLink = (state, reason) => this.changed(reason, `link ${state}`);
    backend.onNotice = (line, kind) => this.onNotice?.(line, kind);
  }

  get endpoints(): readonly PacketEndpoint[] {
    return this.backend.pairs;
  }

  get isUp(): boolean {
    return this.backend.txQueue(0) !== null && this.backend.rxQueue(0) !== null;
  }

  get problem(): string | null {
    const place = this.backend.socketPlace;
    if (place === 'here') return null;
    const what = place === 'gone' ? 'was removed' : 'was replaced, perhaps by another switch';
    return `the socket ${this.path} ${what}: nobody can connect to this port any more; start the switch again`;
  }

  close(): Promise<void> {
    return this.backend.close();
  }

  private changed(reason: string, kind: string): void {
    this.onNotice?.(reason, kind);
    this.onChange?.();
  }
}

/** A tap interface, or another interface of the kernel. */
class InterfacePort implements PortDevice {
  readonly endpoints: readonly PacketEndpoint[];
  onChange: (() => void) | null = null;
  onNotice: ((line: string, kind: string) => void) | null = null;

  constructor(private readonly device: TapDevice | AfPacketDevice) {
    this.endpoints = [device];
  }

  get isUp(): boolean {
    return this.device.problem === null;
  }

  get problem(): string | null {
    return this.device.problem;
  }

  close(): void {
    this.device.close();
  }
}

/**
 * Makes the factory that opens the devices of a script. All devices share one window, so a copy between two ports reads
 * and writes one memory.
 * @param files which files the memory of a vhost-user peer may be in
 */
export function openDevices(files: PeerFiles = 'any'): DeviceFactory {
  const reactor = new Reactor();
  const windows = new WindowAllocator();
  let fixedMacs = 0;
  return {
    windows,
    vhost({ iface, queues, client, offloads }: VhostVdev): PortDevice {
      const options = { path: iface, reactor, windows, client, queuePairs: queues, files, offloads };
      return opened(() => new VhostDevice(new VhostUserBackend(options), iface));
    },
    tap({ iface, mac, offloads }: TapVdev): PortDevice {
      const address = mac === 'fixed' ? fixedMac(fixedMacs++) : mac;
      return opened(() => new InterfacePort(TapDevice.open(iface, { reactor, windows, mac: address, offloads })));
    },
    afPacket({ iface, bypass, offloads }: AfPacketVdev): PortDevice {
      return opened(() => {
        const device = AfPacketDevice.open(iface, { reactor, windows, bypass, offloads });
        const port = new InterfacePort(device);
        device.onNotice = (line, kind) => port.onNotice?.(line, kind);
        return port;
      });
    },
    close() {
      reactor.close();
    },
  };
}

/**
 * Returns DPDK's address for `mac=fixed`: 0, "dtap" and a digit that counts up (19.11, rte_eth_tap.c, set_mac_type).
 */
function fixedMac(index: number): Uint8Array {
  return Uint8Array.from([0, ...Buffer.from('dtap'), '0'.charCodeAt(0) + index]);
}

/** Opens a device. Throws ENODEV, as BESS does, with the reason if it cannot be opened. */
function opened(open: () => PortDevice): PortDevice {
  try {
    return open();
  } catch (error) {
    throw new BessError('ENODEV', (error as Error).message);
  }
}
