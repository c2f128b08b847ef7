/** The driver on packed rings with DPDK's vhost library and with our own backend: every frame, byte for byte. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { VhostUserFrontend } from '../../drivers/transports/vhost-user/frontend.js';
import * as f from '../../drivers/virtio/features.js';
import { type NetDeviceOptions, VirtioNetDevice } from '../../drivers/virtio/virtio-net-device.js';
import { Testpmd } from '../../scripts/testpmd.js';
import { describeWith, testpmd } from '../support/requirements.js';
import { until } from '../support/until.js';
import { EchoCheck } from '../support/virtio/echo-check.js';

const FRAMES = 3000;

describeWith('driver on packed rings against dpdk-testpmd as vhost-user backend', [testpmd], () => {
  let directory: string;
  let socket: string;
  let device: VirtioNetDevice | undefined;
  let peer: Testpmd | undefined;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tspmd-packed-'));
    socket = join(directory, 'vhost.sock');
  });

  afterEach(async () => {
    await device?.close();
    await peer?.child.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  async function connect(options: NetDeviceOptions): Promise<VirtioNetDevice> {
    peer = Testpmd.backend(socket, { forward: 'macswap' });
    await peer.started();
    const small = { queueSize: 128, buffers: 1024, hugepages: 'never', ring: 'packed' } as const;
    device = await VirtioNetDevice.open(new VhostUserFrontend(socket), { ...small, ...options });
    expect(device.features & f.VIRTIO_F_RING_PACKED).not.toBe(0n);
    return device;
  }

  it.each<[string, NetDeviceOptions]>([
    ['mergeable buffers', { mergeable: true }],
    ['without EVENT_IDX', { withoutFeatures: f.VIRTIO_F_EVENT_IDX }],
  ])('gets each frame back from macswap, in order, polling: %s', async (_, options) => {
    const net = await connect(options);
    await new EchoCheck(net).run(FRAMES);
    expect(net.counters()).toMatchObject({ rx_packets: FRAMES, tx_packets: FRAMES, device_errors: 0 });
  });

  it.each<[string, NetDeviceOptions]>([
    ['flags', { withoutFeatures: f.VIRTIO_F_EVENT_IDX }],
    ['EVENT_IDX', {}],
  ])('is woken by interrupts, and loses no frame (%s)', async (_, options) => {
    const net = await connect(options);
    const echo = new EchoCheck(net);
    let wakes = 0;
    const drain = (): void => {
      do echo.receive();
      while (!net.enableRxInterrupt());
    };
    net.onWake = () => {
      wakes++;
      net.disableRxInterrupt();
      drain();
    };
    drain();
    while (echo.sent < 200) {
      echo.send(1 + (echo.sent % 20));
      await until('the frames back', () => echo.received === echo.sent);
    }
    expect(wakes).toBeGreaterThan(0);
  });
});
