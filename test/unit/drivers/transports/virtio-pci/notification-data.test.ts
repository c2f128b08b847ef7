/** Notifications that say where the driver goes on (virtio 1.2, 2.9 and 4.1.5.2), with a model of the PCI device. */
import { afterEach, describe, expect, it } from 'vitest';
import { VirtioPciTransport } from '../../../../../drivers/transports/virtio-pci/transport.js';
import { lendDoorbell, openDoorbell } from '../../../../../drivers/virtio/driver/device-doorbell.js';
import * as f from '../../../../../drivers/virtio/features.js';
import { VirtioNetDevice } from '../../../../../drivers/virtio/virtio-net-device.js';
import { FRAME_OFFSET } from '../../../../../rings/buffer-pool.js';
import { modernCapabilities } from '../../../../support/pci/virtio-pci-config.js';
import { VirtioPciModel } from '../../../../support/pci/virtio-pci-model.js';
import { frameOf } from '../../../../support/virtio/driver-under-test.js';

const OFFERED =
  f.VIRTIO_F_VERSION_1 |
  f.VIRTIO_F_ACCESS_PLATFORM |
  f.VIRTIO_F_NOTIFICATION_DATA |
  f.VIRTIO_NET_F_CTRL_VQ |
  f.VIRTIO_NET_F_CTRL_RX;

let device: VirtioNetDevice | undefined;

afterEach(async () => {
  await device?.close();
  device = undefined;
});

async function open(ring: 'split' | 'packed', model = new VirtioPciModel()) {
  model.offered = OFFERED | (ring === 'packed' ? f.VIRTIO_F_RING_PACKED : 0n);
  const transport = new VirtioPciTransport(model.name, () => model);
  const options = { queueSize: 8, buffers: 32, hugepages: 'never', ring } as const;
  device = await VirtioNetDevice.open(transport, options);
  return { device, model };
}

const handles = new Uint32Array(1);
const lengths = new Uint32Array(1);

function send(frame: Uint8Array): void {
  handles[0] = device!.pool.get();
  lengths[0] = frame.length;
  device!.memory.u8.set(frame, device!.pool.offsetOf(handles[0]!) + FRAME_OFFSET);
  expect(device!.txBurst(handles, lengths, 1)).toBe(1);
}

describe.each(['split', 'packed'] as const)('NOTIFICATION_DATA on %s rings', (ring) => {
  // Clauses: 2.8.16c
  it('tells the device where each queue goes on, also round the ring', async () => {
    const { device, model } = await open(ring);
    expect(device.features & f.VIRTIO_F_NOTIFICATION_DATA).not.toBe(0n);
    const before = model.nextPlaces.length;
    for (let i = 0; i < 20; i++) {
      send(frameOf(i));
      expect(model.tx.drain()).toEqual([frameOf(i)]);
      device.reclaimTx();
    }
    const places = model.nextPlaces.slice(before);
    const wrap = (i: number): number => ((i >> 3) % 2 === 0 ? 0x8000 : 0) | (i & 7);
    const expected = Array.from({ length: 20 }, (_, i) => (ring === 'split' ? i + 1 : wrap(i + 1)));
    expect(places).toEqual(expected);
    expect(model.violations).toEqual([]);
  });
});

describe('a doorbell with data', () => {
  it('stores the index of the queue and the place in one word, on any thread', () => {
    const u32 = new Uint32Array(new SharedArrayBuffer(16));
    const lent = lendDoorbell({ kind: 'data-register', u32, register: 2, value: 1 });
    const doorbell = openDoorbell(structuredClone(lent.share));
    doorbell.ring(0x8005);
    expect([...u32]).toEqual([0, 0, 0x8005_0001, 0]);
    doorbell.ring(0xffff);
    expect(u32[2]).toBe(0xffff_0001);
    expect(doorbell.share()).toEqual(lent.share);
    lent.release();
  });

  it('is refused where there is no room for it, or its address is no multiple of 4', async () => {
    const notify = (change: object) => modernCapabilities().map((c) => (c.type === 2 ? { ...c, ...change } : c));
    await expect(open('split', new VirtioPciModel(notify({ length: 6 })))).rejects.toThrow(
      'queue 1 is notified at 4, outside 6 bytes',
    );
    await expect(open('split', new VirtioPciModel(notify({ multiplier: 2 })))).rejects.toThrow(
      'the device offers NOTIFICATION_DATA, but queue 1 is notified at 12290, no multiple of 4',
    );
  });

  it('has 16 bits where the feature was not negotiated', async () => {
    const model = new VirtioPciModel(modernCapabilities().map((c) => (c.type === 2 ? { ...c, multiplier: 4 } : c)));
    model.offered = OFFERED;
    const transport = new VirtioPciTransport(model.name, () => model);
    const withoutFeatures = f.VIRTIO_F_NOTIFICATION_DATA;
    device = await VirtioNetDevice.open(transport, { queueSize: 8, buffers: 32, hugepages: 'never', withoutFeatures });
    send(frameOf(1));
    expect(model.tx.drain()).toEqual([frameOf(1)]);
    expect(new Set(model.nextPlaces)).toEqual(new Set([0]));
    expect(model.violations).toEqual([]);
  });
});
