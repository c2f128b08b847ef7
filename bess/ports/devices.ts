/** The real devices behind ports: vhost-user sockets and tap interfaces, watched by one reactor. */
import { Reactor } from '../../drivers/libc/index.js';
import { WindowAllocator } from '../../drivers/memory/index.js';
import type { PacketEndpoint } from '../../drivers/packet-endpoint.js';
import { TapDevice } from '../../drivers/transports/tap.js';
import { VhostUserBackend } from '../../drivers/transports/vhost-user/backend.js';
import type { PeerFiles } from '../../drivers/transports/vhost-user/peer-memory.js';
import { BessError } from '../errors.js';
import type { DeviceFactory } from './pmd-port.js';
import type { PortDevice } from './port.js';
import type { TapVdev, VhostVdev } from './vdev.js';

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
    const what = place === 'gone' ? 'was removed' : 'was replaced, perhaps by that of another switch';
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

class TapPort implements PortDevice {
  readonly endpoints: readonly PacketEndpoint[];
  onChange: (() => void) | null = null;
  onNotice: ((line: string, kind: string) => void) | null = null;

  constructor(private readonly tap: TapDevice) {
    this.endpoints = [tap];
  }

  get isUp(): boolean {
    return this.tap.problem === null;
  }

  get problem(): string | null {
    return this.tap.problem;
  }

  close(): void {
    this.tap.close();
  }
}

/**
 * Opens what scripts ask for. All ports share one window, so that a copy between two of them stays in one memory.
 * @param files which files the memories of vhost-user peers may be of
 */
export function openDevices(files: PeerFiles = 'any'): DeviceFactory {
  const reactor = new Reactor();
  const windows = new WindowAllocator();
  let fixedMacs = 0;
  return {
    vhost({ iface, queues, client }: VhostVdev): PortDevice {
      return opened(() => {
        return new VhostDevice(
          new VhostUserBackend({ path: iface, reactor, windows, client, queuePairs: queues, files }),
          iface,
        );
      });
    },
    tap({ iface, mac }: TapVdev): PortDevice {
      const address = mac === 'fixed' ? fixedMac(fixedMacs++) : mac;
      return opened(() => new TapPort(TapDevice.open(iface, { reactor, windows, mac: address })));
    },
    close() {
      reactor.close();
    },
  };
}

/** DPDK's address number `index` for `mac=fixed`: a zero, "dtap", and a digit that counts up (19.11, rte_eth_tap.c, set_mac_type). */
function fixedMac(index: number): Uint8Array {
  return Uint8Array.from([0, ...Buffer.from('dtap'), '0'.charCodeAt(0) + index]);
}

/** A device that cannot be made is BESS's ENODEV, with the reason. */
function opened(open: () => PortDevice): PortDevice {
  try {
    return open();
  } catch (error) {
    throw new BessError('ENODEV', (error as Error).message);
  }
}
