/** Speed and duplex in the configuration space (virtio 1.2, 5.1.4), and how the device tells of them. */
import { describe, expect, it } from 'vitest';
import * as f from '../../../../drivers/virtio/features.js';
import { NetConfigSpace } from '../../../../drivers/virtio/net-config.js';
import { DriverSuite } from '../../../support/virtio/driver-suite.js';
import { FakeTransport, WITH_CONFIG } from '../../../support/virtio/fake-transport.js';

const suite = new DriverSuite();

async function read(speed: number, duplex: number, features = f.VIRTIO_NET_F_SPEED_DUPLEX): Promise<NetConfigSpace> {
  const transport = new FakeTransport();
  transport.offered |= f.VIRTIO_NET_F_SPEED_DUPLEX;
  transport.connected = true;
  new DataView(transport.config.buffer).setUint32(12, speed, true);
  transport.config[16] = duplex;
  return NetConfigSpace.read(transport, features);
}

describe('speed and duplex', () => {
  it.each([
    [10_000, 1, '10000 Mb/s, full duplex'],
    [100, 0, '100 Mb/s, half duplex'],
    [0x7fff_ffff, 1, '2147483647 Mb/s, full duplex'],
  ])('are what the device says: %i, %i', async (speed, duplex, link) => {
    const config = await read(speed, duplex);
    expect([config.speed, config.duplex]).toEqual([speed, duplex === 1 ? 'full' : 'half']);
    expect(config.link).toBe(link);
  });

  // Clauses: 5.1.4.2d
  it.each([
    [0xffff_ffff, 0xff, null, null, ''],
    [0x8000_0000, 1, null, 'full', 'full duplex'],
    [25_000, 2, 25_000, null, '25000 Mb/s'],
  ])('are unknown where their values are not those of the specification: %i, %i', async (...row) => {
    const [speed, duplex, knownSpeed, knownDuplex, link] = row;
    const config = await read(speed, duplex);
    expect([config.speed, config.duplex, config.link]).toEqual([knownSpeed, knownDuplex, link]);
  });

  it('are unknown, and not read, without the feature', async () => {
    const config = await read(1000, 1, 0n);
    expect([config.speed, config.duplex, config.link]).toEqual([null, null, '']);
  });

  it('are told when the link comes up, as they are then', async () => {
    const { device, transport } = await suite.open((t) => {
      t.offered = WITH_CONFIG | f.VIRTIO_NET_F_SPEED_DUPLEX;
    });
    expect(device.link).toBe('10000 Mb/s, full duplex');
    const told = suite.listen();
    transport.setLink(false);
    await expect.poll(() => told.length).toBe(1);
    transport.config[16] = 0xff;
    transport.setLink(true);
    await expect.poll(() => told.length).toBe(2);
    expect(told).toEqual([
      'down: mock: the device reports its link down',
      'up: mock: the device reports its link up (10000 Mb/s)',
    ]);
    expect(device.link).toBe('10000 Mb/s');
  });

  it('leave the line as it was when they are unknown', async () => {
    const { device, transport } = await suite.open((t) => (t.offered = WITH_CONFIG));
    expect(device.link).toBe('');
    const told = suite.listen();
    transport.setLink(false);
    await expect.poll(() => told.length).toBe(1);
    transport.setLink(true);
    await expect.poll(() => told.length).toBe(2);
    expect(told[1]).toBe('up: mock: the device reports its link up');
  });
});
