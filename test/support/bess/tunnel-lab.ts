/** Pipelines of tunnel modules between fake ports, made by a script. */
import { loadScript } from '../../../bess/script/load.js';
import type { SwitchStats } from '../../../bess/stats.js';
import type { Switch } from '../../../bess/switch.js';
import { WindowAllocator } from '../../../drivers/memory/index.js';
import { type FakeEndpoint, FakePortDevice } from './fake-port.js';
import { OUTER } from './vxlan-reference.js';

/** Bytes of a block of a window, which is the memory of one fake port. */
const BLOCK = 1 << 21;
const integer = (octets: readonly number[]): number => octets.reduce((sum, octet) => sum * 256 + octet, 0);
export const ipInteger = (ip: string): number => integer(ip.split('.').map(Number));

/** SetMetadata for {@link OUTER}. */
export const TO_OTHER_HOST = `SetMetadata(attrs=[
  {'name': 'tun_ip_src', 'size': 4, 'value_int': ${ipInteger(OUTER.source)}},
  {'name': 'tun_ip_dst', 'size': 4, 'value_int': ${ipInteger(OUTER.destination)}},
  {'name': 'tun_id', 'size': 4, 'value_int': ${OUTER.vni}},
  {'name': 'ether_src', 'size': 6, 'value_int': ${integer(OUTER.etherSource)}},
  {'name': 'ether_dst', 'size': 6, 'value_int': ${integer(OUTER.etherDestination)}}])`;
export const ENCAP = 'VXLANEncap() -> IPEncap() -> EtherEncap()';

export interface TunnelLab {
  readonly bess: Switch;
  /** The queue of a port, by its name. */
  queue(name: string): FakeEndpoint;
  /** Polls all tasks until nothing moves, and checks the sums. */
  run(): SwitchStats;
  stop(): Promise<void>;
}

/**
 * Runs a script that finds a port under each of these names.
 * @param isShared whether the memories of the ports lie in one window, as those of VMs do
 */
export async function tunnelLab(ports: readonly string[], text: string, isShared = true): Promise<TunnelLab> {
  const windows = new WindowAllocator(64 * BLOCK);
  const devices = new Map<string, FakePortDevice>();
  const source = [
    ...ports.map((name, i) => `${name} = PMDPort(name='${name}', vdev='eth_vhost${i},iface=${name}.nowhere')`),
    text,
  ].join('\n');
  const open = (name: string): FakePortDevice => {
    const device = new FakePortDevice();
    if (isShared) {
      const { window, offset } = windows.allocate(BLOCK);
      device.queue.useMemory(window, offset, BLOCK);
    }
    devices.set(name, device);
    return device;
  };
  const bess = await loadScript(
    { name: 'lab', source },
    {},
    {
      devices: {
        ...(isShared ? { windows } : {}),
        vhost: ({ iface }) => open(iface.split('.')[0]!),
        tap: ({ iface }) => open(iface),
        afPacket: ({ iface }) => open(iface),
        close: () => undefined,
      },
      log: () => undefined,
    },
  );
  bess.capture.attach(bess.ports.all, bess.graph.all);
  return {
    bess,
    queue: (name) => devices.get(name)!.queue,
    run() {
      for (let moved = 1; moved > 0; ) moved = bess.graph.tasks.reduce((sum, task) => sum + task.run(), 0);
      const stats = bess.stats();
      const { received, generated, copied, cut, forwarded, dropped } = stats.summary;
      if (received + generated + copied + cut !== forwarded + dropped.total) {
        throw new Error(`the sums differ: ${JSON.stringify(stats.summary)}`);
      }
      return stats;
    },
    stop: () => bess.stop(),
  };
}
