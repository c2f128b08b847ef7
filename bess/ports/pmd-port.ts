/**
 * PMDPort: makes the ports of a script (BESS: drivers/pmd.cc, bessctl.cc `create_port`).
 *
 * BESS accepts two ports with one socket or one name, and then misbehaves. Here both are errors that name the other
 * port.
 */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { WindowAllocator } from '../../drivers/memory/index.js';
import { BessError } from '../errors.js';
import { checkQueueConfig, Port, type PortDevice, type QueueConfig } from './port.js';
import { socketInUse } from './socket-user.js';
import { type AfPacketVdev, parseVdev, type TapVdev, type Vdev, type VhostVdev } from './vdev.js';

const DRIVER = 'PMDPort';

/** Opens the devices behind ports. */
export interface DeviceFactory {
  /** The windows that the memories of the devices lie in; without it, packets are copied to be given headers. */
  readonly windows?: WindowAllocator;
  vhost(vdev: VhostVdev): PortDevice;
  tap(vdev: TapVdev): PortDevice;
  afPacket(vdev: AfPacketVdev): PortDevice;
  /** Releases what the devices share. Called once, when all devices are closed. */
  close(): void;
}

/** The arguments of PMDPort in a script. Exactly one of vdev, pci and portId must be set. */
export interface PmdPortConfig extends QueueConfig {
  /** Null: the first free name of `pmd_port0`, `pmd_port1`, …, as in BESS. */
  readonly name: string | null;
  readonly vdev: string | null;
  readonly pci: string | null;
  readonly portId: number | null;
}

/** A port and its vdev. */
interface Entry {
  readonly port: Port;
  readonly vdev: Vdev;
}

/** The ports of a switch, in the order in which they were made. */
export class PortTable {
  private readonly entries = new Map<string, Entry>();

  constructor(
    private readonly devices: DeviceFactory,
    /** Called with each line for the user. */
    private readonly note: (line: string) => void,
  ) {}

  /** All ports. */
  get all(): Port[] {
    return Array.from(this.entries.values(), (entry) => entry.port);
  }

  /** All ports with their vdevs. */
  get attached(): Entry[] {
    return Array.from(this.entries.values());
  }

  /** Returns the port of this name. Throws ENODEV if there is none. */
  get(name: string): Port {
    const entry = this.entries.get(name);
    if (!entry) throw new BessError('ENODEV', `Port ${name} not found`);
    return entry.port;
  }

  /** Makes a port, which listens from then on. Throws EINVAL, EEXIST, ENOENT, ENODEV or EPERM. */
  create(config: PmdPortConfig): Port {
    checkQueueConfig(config);
    const name = config.name ?? this.defaultName();
    if (this.entries.has(name)) throw new BessError('EEXIST', `Port ${name} exists`);
    const vdev = this.vdevOf(config);
    const incQueues = config.incQueues === 0 ? 1 : config.incQueues;
    const outQueues = config.outQueues === 0 ? 1 : config.outQueues;
    if (Math.max(incQueues, outQueues) > vdev.queues) {
      const wanted = `${incQueues} incoming and ${outQueues} outgoing queues`;
      const advice = vdev.driver === 'vhost' ? ` (say queues=${Math.max(incQueues, outQueues)} in the vdev)` : '';
      throw new BessError('EINVAL', `port ${name}: ${wanted}, but the vdev has ${vdev.queues}${advice}`);
    }
    this.checkUnique(vdev, config.vdev ?? '');
    const device = this.open(vdev);
    const description = `${kindOf(vdev)} ${vdev.iface}`;
    const port = new Port(name, DRIVER, description, device, incQueues, outQueues);
    this.entries.set(name, { port, vdev });
    for (const line of vdev.notes) this.note(line);
    return port;
  }

  /** Closes all devices, and so removes their sockets. Tries all of them, and then rejects with the first error. */
  async close(): Promise<void> {
    const closings = this.all.map(async (port) => port.device.close());
    this.entries.clear();
    const results = await Promise.allSettled(closings);
    this.devices.close();
    for (const result of results) {
      if (result.status === 'rejected') throw result.reason;
    }
  }

  private defaultName(): string {
    let i = 0;
    while (this.entries.has(`pmd_port${i}`)) i++;
    return `pmd_port${i}`;
  }

  /**
   * Returns the vdev of the arguments. Throws if they name no device, several devices, or a device that is not
   * possible.
   */
  private vdevOf({ vdev, pci, portId }: PmdPortConfig): Vdev {
    const given = [vdev, pci, portId].filter((way) => way !== null).length;
    if (given === 0) throw new BessError('EINVAL', "No port specified: say vdev='eth_vhost0,iface=/path/of/the.sock'");
    if (given > 1) throw new BessError('EINVAL', 'give a PMDPort only one of vdev, pci and port_id');
    if (vdev === null) {
      const what = pci === null ? `Port id ${portId} is not available` : `Cannot attach PCI device ${pci}`;
      throw new BessError(
        'ENODEV',
        `${what}: this switch has no NICs of its own; say vdev='net_af_packet0,iface=eth0' for one that the kernel has`,
      );
    }
    return parseVdev(vdev);
  }

  /**
   * Throws EEXIST if another port has the unit, socket or interface of this vdev. What is sent to a tap does not come out of a
   * raw socket on it, so these two also exclude each other.
   */
  private checkUnique(vdev: Vdev, text: string): void {
    for (const { port, vdev: other } of this.entries.values()) {
      if (other.driver === vdev.driver && other.unit === vdev.unit) {
        throw new BessError(
          'EEXIST',
          `Cannot attach vdev ${text}: port ${port.name} has this number; choose another one`,
        );
      }
      if (placeOf(other) === placeOf(vdev)) {
        throw new BessError('EEXIST', `Cannot attach vdev ${text}: port ${port.name} is on ${vdev.iface} already`);
      }
    }
  }

  private open(vdev: Vdev): PortDevice {
    if (vdev.driver === 'tap') return this.devices.tap(vdev);
    if (vdev.driver === 'af_packet') return this.devices.afPacket(vdev);
    if (!vdev.client) checkSocketPath(vdev.iface);
    return this.devices.vhost(vdev);
  }
}

/** The kind of device behind a port, for people. */
export function kindOf({ driver }: Vdev): 'vhost-user' | 'tap' | 'af_packet' {
  return driver === 'vhost' ? 'vhost-user' : driver;
}

/** What only one port can be on: a socket or an interface. */
function placeOf({ driver, iface }: Vdev): string {
  return driver === 'vhost' ? resolve(iface) : iface;
}

/** Throws if no socket can be made at this path. */
function checkSocketPath(path: string): void {
  const directory = dirname(resolve(path));
  if (!existsSync(directory)) {
    throw new BessError('ENOENT', `socket ${path}: the directory ${directory} does not exist; make it first`);
  }
  if (existsSync(path)) {
    const inUse = socketInUse(path);
    if (inUse !== null) throw new BessError('EPERM', inUse);
    const left = `socket ${path} exists already, perhaps left by a switch that was killed`;
    throw new BessError('EPERM', `${left}: remove it in the script, before the port (import os; os.unlink('${path}'))`);
  }
}
