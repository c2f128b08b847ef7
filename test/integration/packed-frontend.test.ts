/** The driver on packed rings against DPDK's vhost library and against our own backend: every frame, byte for byte. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { VhostUserFrontend } from '../../drivers/transports/vhost-user/frontend.js';
import * as f from '../../drivers/virtio/features.js';
import { type NetDeviceOptions, VirtioNetDevice } from '../../drivers/virtio/net-device.js';
import { FRAME_OFFSET, NO_BUFFER } from '../../rings/buffer-pool.js';
import { Testpmd } from '../../scripts/testpmd.js';
import { describeWith, testpmd } from '../support/requirements.js';
import { until } from '../support/until.js';

const BURST = 32;
const FRAMES = 3000;

/** Bytes of frame `n`; the addresses are those of two stations, the first number in it is its own. */
function frameOf(n: number): Uint8Array {
  const frame = new Uint8Array(60 + ((n * 37) % 1455));
  for (let i = 14; i < frame.length; i++) frame[i] = (n + i * 7) & 0xff;
  frame.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5]);
  new DataView(frame.buffer).setUint32(14, n);
  return frame;
}

describeWith('driver on packed rings against dpdk-testpmd as vhost-user backend', [testpmd], () => {
  let directory: string;
  let socket: string;
  let device: VirtioNetDevice | undefined;
  let peer: Testpmd | undefined;
  const handles = new Uint32Array(BURST);
  const lengths = new Uint32Array(BURST);

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

  /** Sends as many as the ring takes of the frames from `next` on; returns how many. */
  function send(net: VirtioNetDevice, next: number, most: number): number {
    let count = 0;
    for (; count < Math.min(BURST, most); count++) {
      const handle = net.pool.get();
      if (handle === NO_BUFFER) break;
      const frame = frameOf(next + count);
      net.memory.u8.set(frame, net.pool.offsetOf(handle) + FRAME_OFFSET);
      handles[count] = handle;
      lengths[count] = frame.length;
    }
    const taken = net.txBurst(handles, lengths, count);
    for (let i = taken; i < count; i++) net.pool.put(handles[i]!);
    return taken;
  }

  /** Receives a burst: frames as they were sent, in order, with their addresses swapped. */
  function receive(net: VirtioNetDevice, next: number): number {
    const { rxHandles: handles, rxLengths: lengths } = net;
    const count = net.rxBurst(BURST);
    for (let i = 0; i < count; i++) {
      const at = net.pool.offsetOf(handles[i]!) + FRAME_OFFSET;
      const frame = frameOf(next + i);
      frame.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
      const found = net.memory.u8.subarray(at, at + lengths[i]!);
      if (Buffer.compare(frame, found) !== 0) throw new Error(`frame ${next + i} is not what came back`);
      net.pool.put(handles[i]!);
    }
    return count;
  }

  it.each<[string, NetDeviceOptions]>([
    ['as negotiated', {}],
    ['mergeable buffers', { mergeable: true }],
    ['without EVENT_IDX', { withoutFeatures: f.VIRTIO_F_EVENT_IDX }],
  ])('gets each frame back from macswap, in order, polling: %s', async (_, options) => {
    const net = await connect(options);
    let [sent, received] = [0, 0];
    await until(
      'all frames back',
      () => received === FRAMES,
      () => {
        // Never more under way than either side's ring holds: macswap drops what it cannot send.
        sent += send(net, sent, Math.min(FRAMES - sent, 64 - (sent - received)));
        received += receive(net, received);
      },
    );
    net.reclaimTx();
    expect(net.counters()).toMatchObject({ rx_packets: FRAMES, tx_packets: FRAMES, device_errors: 0 });
  });

  it.each<[string, NetDeviceOptions]>([
    ['flags', { withoutFeatures: f.VIRTIO_F_EVENT_IDX }],
    ['EVENT_IDX', {}],
  ])('is woken by interrupts, and loses none (%s)', async (_, options) => {
    const net = await connect(options);
    let received = 0;
    let wakes = 0;
    const drain = (): void => {
      do received += receive(net, received);
      while (!net.enableRxInterrupt());
    };
    net.onWake = () => {
      wakes++;
      net.disableRxInterrupt();
      drain();
    };
    drain();
    for (let sent = 0; sent < 200; ) {
      sent += send(net, sent, 1 + (sent % 20));
      await until('the frames back', () => received === sent);
    }
    expect(wakes).toBeGreaterThan(0);
  });
});
