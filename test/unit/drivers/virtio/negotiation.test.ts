/** Which features a device with offloads accepts, what needs what (virtio 1.2, 5.1.3.1), and what the device says of it. */
import { describe, expect, it } from 'vitest';
import * as f from '../../../../drivers/virtio/features.js';
import { DriverSuite } from '../../../support/virtio/driver-suite.js';
import { BASIC } from '../../../support/virtio/fake-transport.js';

const suite = new DriverSuite();

const SENT = f.VIRTIO_NET_F_CSUM | f.VIRTIO_NET_F_HOST_TSO4 | f.VIRTIO_NET_F_HOST_TSO6 | f.VIRTIO_NET_F_HOST_ECN;
const RECEIVED =
  f.VIRTIO_NET_F_GUEST_CSUM | f.VIRTIO_NET_F_GUEST_TSO4 | f.VIRTIO_NET_F_GUEST_TSO6 | f.VIRTIO_NET_F_GUEST_ECN;
const ALL = SENT | RECEIVED | f.VIRTIO_NET_F_MRG_RXBUF | f.VIRTIO_F_INDIRECT_DESC;
const HOST = ['CSUM', 'HOST_TSO4', 'HOST_TSO6', 'HOST_ECN'];
const GUEST = ['GUEST_CSUM', 'GUEST_TSO4', 'GUEST_TSO6', 'GUEST_ECN'];

const AUTO = { offloads: 'auto', mergeable: false } as const;

/** The names of what was negotiated beyond VERSION_1, sorted. */
async function negotiated(offered: bigint, options = {}): Promise<string[]> {
  const { device } = await suite.open((t) => (t.offered = BASIC | offered), { ...AUTO, ...options });
  const names = f.featureNames(device.features & ~f.VIRTIO_F_VERSION_1);
  return names === 'none' ? [] : names.split(', ').sort();
}

describe('with offloads', () => {
  it('accepts everything about them, of a device that offers everything', async () => {
    expect(await negotiated(ALL)).toEqual([...HOST, ...GUEST, 'INDIRECT_DESC', 'MRG_RXBUF'].sort());
  });

  // Clauses: 2.2.1b
  it.each([
    ['HOST_TSO and HOST_ECN without CSUM', SENT & ~f.VIRTIO_NET_F_CSUM, []],
    ['HOST_ECN without segmentation', f.VIRTIO_NET_F_CSUM | f.VIRTIO_NET_F_HOST_ECN, ['CSUM']],
    ['GUEST_TSO and GUEST_ECN without GUEST_CSUM', RECEIVED & ~f.VIRTIO_NET_F_GUEST_CSUM, []],
    ['GUEST_TSO without MRG_RXBUF', RECEIVED, ['GUEST_CSUM']],
    ['CTRL_GUEST_OFFLOADS without a control queue', f.VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, []],
    ['UFO, USO and what is reserved', (1n << 10n) | (1n << 14n) | (1n << 54n) | (1n << 6n), []],
  ])('does not accept %s', async (_, offered, accepted) => {
    expect(await negotiated(offered)).toEqual(accepted);
  });

  it('accepts segmentation of one IP version with its ECN', async () => {
    const sent = f.VIRTIO_NET_F_CSUM | f.VIRTIO_NET_F_HOST_TSO6 | f.VIRTIO_NET_F_HOST_ECN;
    expect(await negotiated(sent)).toEqual(['CSUM', 'HOST_ECN', 'HOST_TSO6']);
    await suite.driver.device.close();
    const received = f.VIRTIO_NET_F_GUEST_CSUM | f.VIRTIO_NET_F_GUEST_TSO4 | f.VIRTIO_NET_F_GUEST_ECN;
    expect(await negotiated(received | f.VIRTIO_NET_F_MRG_RXBUF)).toEqual([
      'GUEST_CSUM',
      'GUEST_ECN',
      'GUEST_TSO4',
      'MRG_RXBUF',
    ]);
  });

  it('does not negotiate what it was told not to, nor what needs it', async () => {
    const withoutFeatures = f.VIRTIO_NET_F_CSUM | f.VIRTIO_NET_F_GUEST_CSUM;
    expect(await negotiated(ALL, { withoutFeatures })).toEqual(['INDIRECT_DESC', 'MRG_RXBUF']);
  });

  it('prefers MRG_RXBUF to IN_ORDER; without offloads it is the other way round', async () => {
    const both = f.VIRTIO_F_RING_PACKED | f.VIRTIO_F_IN_ORDER | f.VIRTIO_NET_F_MRG_RXBUF;
    expect(await negotiated(both, { ring: 'packed' })).toEqual(['MRG_RXBUF', 'RING_PACKED']);
    await suite.driver.device.close();
    const plain = { ring: 'packed', offloads: 'off', mergeable: true };
    expect(await negotiated(both, plain)).toEqual(['IN_ORDER', 'RING_PACKED']);
  });

  it.each([
    ['nothing', 0n, 0b10000],
    ['a checksum', f.VIRTIO_NET_F_CSUM, 0b10001],
    ['TSO over IPv4', f.VIRTIO_NET_F_CSUM | f.VIRTIO_NET_F_HOST_TSO4, 0b10011],
    ['everything', ALL, 0b11111],
    ['only what is received', RECEIVED | f.VIRTIO_NET_F_MRG_RXBUF, 0b10000],
  ])('says that the device does chains and %s', async (_, offered, offloads) => {
    await negotiated(offered);
    expect(suite.driver.device.offloads).toBe(offloads);
  });

  it('says after a restart what the device that is back does', async () => {
    await negotiated(ALL);
    const { device, transport } = suite.driver;
    transport.offered = BASIC | f.VIRTIO_NET_F_CSUM;
    transport.lose();
    await expect.poll(() => device.counters().reconnects).toBe(1);
    expect(device.offloads).toBe(0b10001);
    expect(f.featureNames(device.features)).toBe('CSUM, VERSION_1');
  });

  it('has buffers of at least 4096 bytes, and larger ones for a larger MTU', async () => {
    await negotiated(0n);
    expect(suite.driver.device.pool.geometry.shift).toBe(12);
    await suite.driver.device.close();
    await negotiated(0n, { mtu: 9000 });
    expect(suite.driver.device.pool.geometry.shift).toBe(14);
    await suite.driver.device.close();
    await negotiated(0n, { offloads: 'off' });
    expect(suite.driver.device.pool.geometry.shift).toBe(11);
  });
});

describe('without offloads', () => {
  it('accepts none of them, and says that the device does nothing', async () => {
    expect(await negotiated(ALL | f.VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, { offloads: 'off' })).toEqual([]);
    expect(suite.driver.device.offloads).toBe(0);
    await suite.driver.device.close();
    const { device } = await suite.open((t) => (t.offered = BASIC | ALL), { mergeable: false });
    expect(f.featureNames(device.features)).toBe('VERSION_1');
  });
});
