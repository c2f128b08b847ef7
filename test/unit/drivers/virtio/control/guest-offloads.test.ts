/** Switching the receive offloads with a model of the device: which commands are sent, and when (5.1.6.5.8). */
import { afterEach, describe, expect, it } from 'vitest';
import { VirtioPciTransport } from '../../../../../drivers/transports/virtio-pci/transport.js';
import * as f from '../../../../../drivers/virtio/features.js';
import { type NetDeviceOptions, VirtioNetDevice } from '../../../../../drivers/virtio/virtio-net-device.js';
import { VirtioPciModel } from '../../../../support/pci/virtio-pci-model.js';
import { until } from '../../../../support/until.js';

const RECEIVED = f.VIRTIO_NET_F_GUEST_CSUM | f.VIRTIO_NET_F_GUEST_TSO4 | f.VIRTIO_NET_F_GUEST_ECN;
const OFFERED =
  f.VIRTIO_F_VERSION_1 |
  f.VIRTIO_F_ACCESS_PLATFORM |
  f.VIRTIO_NET_F_MRG_RXBUF |
  f.VIRTIO_NET_F_CTRL_VQ |
  f.VIRTIO_NET_F_CTRL_GUEST_OFFLOADS |
  RECEIVED;

const command = (low: number, high: number): number[] => [5, 0, low, high, 0, 0, 0, 0, 0, 0];
const OFF = command(0, 0);
/** GUEST_CSUM is bit 1, GUEST_TSO4 bit 7, GUEST_ECN bit 9. */
const ON = command(0x82, 0x02);

let device: VirtioNetDevice | undefined;

afterEach(async () => {
  await device?.close();
  device = undefined;
});

async function open(offered = OFFERED, options: NetDeviceOptions = {}) {
  const model = new VirtioPciModel();
  model.offered = offered;
  const transport = new VirtioPciTransport(model.name, () => model);
  const small = { queueSize: 8, buffers: 32, hugepages: 'never', offloads: 'auto', ...options } as const;
  device = await VirtioNetDevice.open(transport, small);
  return { device, model };
}

async function reset(model: VirtioPciModel): Promise<void> {
  const before = device!.counters().reconnects!;
  model.needReset();
  await until('the device to be back', () => device!.counters().reconnects === before + 1);
}

describe('receive offloads', () => {
  // Clauses: 5.1.6.5.8.2a
  it('are switched off, and on again as they were negotiated', async () => {
    const { device, model } = await open();
    expect(model.commands).toEqual([]);
    await device.setReceiveOffloads(false);
    expect(model.commands).toEqual([OFF]);
    await device.setReceiveOffloads(true);
    expect(model.commands).toEqual([OFF, ON]);
    expect(model.violations).toEqual([]);
  });

  it('are only those that were negotiated', async () => {
    const { device, model } = await open(OFFERED & ~f.VIRTIO_NET_F_MRG_RXBUF);
    await device.setReceiveOffloads(true);
    expect(model.commands).toEqual([command(0x02, 0)]);
  });

  it('stay off when the device was reset, until they are switched on', async () => {
    const { device, model } = await open();
    await device.setReceiveOffloads(false);
    await reset(model);
    expect(model.commands).toEqual([OFF, OFF]);
    await device.setReceiveOffloads(true);
    await reset(model);
    expect(model.commands).toEqual([OFF, OFF, ON]);
    expect(model.accepted & RECEIVED).toBe(RECEIVED);
  });

  it('are switched at the next start while the device is away', async () => {
    const { device, model } = await open();
    model.needReset();
    await until('the device to be down', () => !device.isUp);
    await device.setReceiveOffloads(false);
    await until('the device to be back', () => device.counters().reconnects === 1);
    expect(model.commands).toEqual([OFF]);
  });

  it('are not negotiated with a device that comes back without the command', async () => {
    const { device, model } = await open();
    await device.setReceiveOffloads(false);
    model.offered &= ~f.VIRTIO_NET_F_CTRL_GUEST_OFFLOADS;
    await reset(model);
    expect(model.accepted & RECEIVED).toBe(0n);
    expect(model.commands).toEqual([OFF]);
  });

  it('cannot be switched where the device has no command for it', async () => {
    const { device, model } = await open(OFFERED & ~f.VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
    await expect(device.setReceiveOffloads(false)).rejects.toThrow(
      '0000:00:10.0: receive offloads cannot be switched: the device does not offer CTRL_GUEST_OFFLOADS',
    );
    await reset(model);
    expect(model.accepted & RECEIVED).toBe(RECEIVED);
  });

  it.each(['auto', 'off'] as const)('are off where none was negotiated (offloads: %s)', async (offloads) => {
    const { device, model } = await open(offloads === 'off' ? OFFERED : OFFERED & ~RECEIVED, { offloads });
    await device.setReceiveOffloads(false);
    await expect(device.setReceiveOffloads(true)).rejects.toThrow('cannot be switched on: none was negotiated');
    expect(model.commands).toEqual([]);
  });

  it('stay as they were when the device refuses', async () => {
    const { device, model } = await open();
    model.onCommand = () => 1;
    await expect(device.setReceiveOffloads(false)).rejects.toThrow(
      'control queue: the device refuses the receive offloads none',
    );
    model.onCommand = () => 0;
    await reset(model);
    expect(model.commands).toEqual([OFF]);
  });

  it('are the wish of the last call, when several are under way', async () => {
    const { device, model } = await open();
    await Promise.all([false, true, false].map((on) => device.setReceiveOffloads(on)));
    expect(model.commands).toEqual([OFF, ON, OFF]);
    await reset(model);
    expect(model.commands).toEqual([OFF, ON, OFF, OFF]);
  });
});
