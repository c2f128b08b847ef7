/**
 * Our frontend with each backend that it supports, in both roles of listening and connecting: every frame comes back
 * byte for byte, from rings of each layout, and again after the backend was away.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { VhostUserFrontend } from '../../drivers/transports/vhost-user/frontend.js';
import * as f from '../../drivers/virtio/features.js';
import { type NetDeviceOptions, VirtioNetDevice } from '../../drivers/virtio/virtio-net-device.js';
import { Child } from '../../scripts/child.js';
import { OVS_SENDS, Ovs } from '../../scripts/ovs.js';
import { Testpmd } from '../../scripts/testpmd.js';
import { describeWith, ovs, type Requirement, testpmd } from '../support/requirements.js';
import { temporaryDirectory } from '../support/resources.js';
import { until } from '../support/until.js';
import { EchoCheck } from '../support/virtio/echo-check.js';

const FRAMES = 2000;
const FLOWS_MS = 15_000;
const SOCKET = 'vhost.sock';
const SMALL = { queueSize: 256, buffers: 1024, hugepages: 'never' } as const;

const LAYOUTS: readonly (readonly [string, NetDeviceOptions, bigint])[] = [
  ['split', { ring: 'split' }, 0n],
  ['packed, in order', { ring: 'packed' }, f.VIRTIO_F_RING_PACKED | f.VIRTIO_F_IN_ORDER],
  ['packed', { ring: 'packed', withoutFeatures: f.VIRTIO_F_IN_ORDER }, f.VIRTIO_F_RING_PACKED],
  // With mergeable buffers, which exclude IN_ORDER. interop-offloads.test.ts has the packets that use offloads.
  ['split, with offloads', { ring: 'split', offloads: 'auto' }, 0n],
  ['packed, with offloads', { ring: 'packed', offloads: 'auto' }, f.VIRTIO_F_RING_PACKED],
];
/** Without IN_ORDER, which our own switch does not offer, and without features for which others need more memory. */
const OUR_LAYOUTS: typeof LAYOUTS = [
  ...LAYOUTS.filter(([name]) => name !== 'packed, in order'),
  ['split, 64 entries', { ring: 'split', queueSize: 64 }, 0n],
  ['packed, 4096 entries', { ring: 'packed', queueSize: 4096, buffers: 16384 }, f.VIRTIO_F_RING_PACKED],
  ['split, an MTU of 9000', { ring: 'split', mtu: 9000 }, 0n],
  ['packed, an MTU of 9000', { ring: 'packed', mtu: 9000 }, f.VIRTIO_F_RING_PACKED],
  ['split, an MTU of 9000, with offloads', { ring: 'split', mtu: 9000, offloads: 'auto' }, 0n],
];

interface Running {
  readonly daemon: Child;
  stop(): Promise<unknown>;
}

/** A backend that sends back all it gets. It can be started again after it was stopped. */
interface Backend {
  /** Whether it connects to our socket. */
  readonly connects: boolean;
  readonly swaps: boolean;
  readonly layouts: typeof LAYOUTS;
  /** What it prints when a frontend's frames can come back; without such a line they always can. */
  readonly flows?: RegExp;
  start(folder: string, socket: string): Promise<Running>;
}

const runningAs = (daemon: Child): Running => ({ daemon, stop: () => daemon.stop() });

const testpmdBackend = (connects: boolean): Backend => ({
  ...{ connects, swaps: true, layouts: LAYOUTS },
  async start(_, socket) {
    const pmd = Testpmd.backend(socket, { forward: 'macswap', ...(connects ? { device: 'client=1' } : {}) });
    await pmd.started();
    return runningAs(pmd.child);
  },
});

const ovsBackend = (connects: boolean): Backend => ({
  ...{ connects, swaps: false, layouts: LAYOUTS, flows: OVS_SENDS },
  async start(folder, socket) {
    const port = { name: SOCKET, ...(connects ? { connectTo: socket } : {}) };
    const switching = await Ovs.start({ folder, ports: [port], megabytes: 512, sleeps: true });
    switching.addFlow('in_port=1', 'in_port');
    const { daemon } = switching;
    return { daemon, stop: () => switching.stop() };
  },
});

const ourSwitch = (connects: boolean): Backend => ({
  ...{ connects, swaps: false, layouts: OUR_LAYOUTS },
  async start(folder, socket) {
    const file = join(folder, 'echo.bess');
    const vdev = `eth_vhost0,iface=${socket},client=${connects ? 1 : 0}`;
    writeFileSync(file, `p = PMDPort(vdev='${vdev}')\nPortInc(port=p.name) -> PortOut(port=p.name)\n`);
    const child = Child.tspmd('switch', file);
    await child.waitFor(/^ready/m);
    return runningAs(child);
  },
});

const BACKENDS: readonly (readonly [string, Requirement[], Backend])[] = [
  ['dpdk-testpmd’s vhost', [testpmd], testpmdBackend(false)],
  ['dpdk-testpmd’s vhost, which connects to us', [testpmd], testpmdBackend(true)],
  ['OVS-DPDK’s dpdkvhostuser', [ovs], ovsBackend(false)],
  ['OVS-DPDK’s dpdkvhostuserclient, which connects to us', [ovs], ovsBackend(true)],
  ['our own switch', [], ourSwitch(false)],
  ['our own switch, which connects to us', [], ourSwitch(true)],
];

for (const [name, needs, backend] of BACKENDS) {
  describeWith(`our frontend with ${name}`, needs, () => {
    let folder: ReturnType<typeof temporaryDirectory>;
    let socket: string;
    let running: Running | undefined;
    let device: VirtioNetDevice | undefined;

    beforeAll(async () => {
      folder = temporaryDirectory();
      socket = join(folder.path, SOCKET);
      running = await backend.start(folder.path, socket);
    });

    afterEach(async () => {
      await device?.close();
      device = undefined;
    });

    afterAll(async () => {
      await running?.stop();
      folder.remove();
    });

    async function untilFlowing(from: number): Promise<void> {
      if (backend.flows !== undefined) await running?.daemon.waitFor(backend.flows, FLOWS_MS, from);
    }

    async function connect(options: NetDeviceOptions): Promise<VirtioNetDevice> {
      const from = running?.daemon.output.length ?? 0;
      const frontend = new VhostUserFrontend(socket, { server: backend.connects });
      device = await VirtioNetDevice.open(frontend, { ...SMALL, ...options });
      await untilFlowing(from);
      return device;
    }

    it.each(backend.layouts)('gets each frame back: %s', async (_, options, features) => {
      const net = await connect(options);
      expect(net.features & (f.VIRTIO_F_RING_PACKED | f.VIRTIO_F_IN_ORDER)).toBe(features);
      await new EchoCheck(net, backend.swaps).run(FRAMES);
      expect(net.counters()).toMatchObject({ rx_packets: FRAMES, tx_packets: FRAMES, device_errors: 0 });
    });

    it('goes on when the backend was away', async () => {
      const net = await connect({});
      await new EchoCheck(net, backend.swaps).run(100);
      await running?.stop();
      await until('the device is down', () => !net.isUp);
      running = await backend.start(folder.path, socket);
      await until('the device is up again', () => net.isUp);
      await untilFlowing(0);
      await new EchoCheck(net, backend.swaps).run(FRAMES);
      expect(net.counters()).toMatchObject({ reconnects: 1, device_errors: 0 });
    });
  });
}
