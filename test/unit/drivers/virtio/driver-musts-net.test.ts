/**
 * What virtio 1.2 demands of a network device's driver (5.1), clause by clause. test/CLAUSES.md lists all clauses, also
 * those that do not apply.
 */
import { afterEach, describe, expect, it } from 'vitest';
import * as f from '../../../../drivers/virtio/features.js';
import { frameCapacity } from '../../../../rings/buffer-pool.js';
import { DriverUnderTest, frameOf } from '../../../support/virtio/driver-under-test.js';
import { BASIC, WITH_CONFIG } from '../../../support/virtio/fake-transport.js';

const MERGEABLE = f.VIRTIO_NET_F_MRG_RXBUF;

/** The header and the longest frame of a buffer of 2 KiB. */
const CAPACITY = frameCapacity(11);

let driver: DriverUnderTest;

async function open(offered = BASIC, options = {}, mtu = 1500): Promise<DriverUnderTest> {
  driver = await DriverUnderTest.open(options, (transport) => {
    transport.offered = offered;
    transport.setMtu(mtu);
  });
  return driver;
}

afterEach(async () => {
  const { violations } = driver.transport;
  await driver.device.close();
  expect(violations).toEqual([]);
});

describe('5.1.4.2 device configuration layout', () => {
  // Clauses: 5.1.4.2a
  it('MUST use the address of the device if it negotiates MAC', async () => {
    const { device } = await open(WITH_CONFIG);
    expect([...device.mac]).toEqual([0x52, 0x54, 0, 1, 2, 3]);
  });

  it('SHOULD otherwise use a locally administered address of one station', async () => {
    const { device } = await open(BASIC);
    expect((device.mac[0] ?? 0) & 3).toBe(2);
  });

  it('SHOULD assume without STATUS that the link is active', async () => {
    const { device } = await open(BASIC);
    driver.transport.config[6] = 0;
    expect(device.isUp).toBe(true);
  });

  it('SHOULD read the link from the lowest bit of the status only', async () => {
    const { device, transport } = await open(WITH_CONFIG);
    for (const [status, up] of [
      [0, false],
      [3, true],
      [2, false],
      [1, true],
    ] as const) {
      const told = new Promise((resolve) => {
        device.onLink = resolve;
      });
      transport.config[6] = status;
      transport.setLink(up);
      transport.config[6] = status;
      expect(await told).toBe(up ? 'up' : 'down');
      expect(device.isUp).toBe(up);
    }
  });

  // Clauses: 5.1.4.2b
  it('MUST be able to receive a packet of the MTU that it negotiates', async () => {
    const { device, transport } = await open(WITH_CONFIG, {}, 1580);
    expect(transport.accepted).toBe(WITH_CONFIG);
    expect(transport.rx.deliver(frameOf(1, 14 + 1580))).toBe(true);
    expect(driver.receive()).toEqual([frameOf(1, 1594)]);
    expect(device.mtu).toBe(1500);
  });

  it('does not negotiate an MTU that its buffers do not hold', async () => {
    const { device, transport } = await open(WITH_CONFIG, {}, 9000);
    expect(transport.accepted).toBe(WITH_CONFIG & ~f.VIRTIO_NET_F_MTU);
    expect(device.mtu).toBe(1500);
  });

  it('negotiates a larger MTU when it was told to make its buffers that large', async () => {
    const { device, transport } = await open(WITH_CONFIG, { mtu: 9000 }, 9000);
    expect(transport.accepted).toBe(WITH_CONFIG);
    expect(device.mtu).toBe(9000);
    expect(transport.rx.deliver(frameOf(1, 9014))).toBe(true);
    expect(driver.receive()).toEqual([frameOf(1, 9014)]);
  });

  // Clauses: 5.1.4.2c
  it('MUST NOT send a packet longer than the MTU and the Ethernet header with VLAN tag', async () => {
    const { device, transport } = await open(WITH_CONFIG, {}, 1000);
    expect(driver.send([frameOf(1, 1018), frameOf(2, 1019), frameOf(3, 1014)])).toBe(3);
    expect(transport.tx.drain().map((frame) => frame.length)).toEqual([1018, 1014]);
    expect(device.counters().tx_dropped_bad_length).toBe(1);
  });
});

describe('5.1.6.2.1 packet transmission', () => {
  // Clauses: 5.1.6.2.1a, 5.1.6.2.1b, 5.1.6.2.1c, 5.1.6.2.1d, 5.1.6.2.1e
  it('MUST set num_buffers, flags and gso_type to zero, also in a used buffer', async () => {
    // The model's drain() notes a header that is not zero. The buffers go through both rings in turn.
    const { device, transport } = await open();
    for (let i = 0; i < 100; i++) {
      const chain = transport.rx.take();
      transport.rx.deliverInto(chain as NonNullable<typeof chain>, frameOf(i), 1, { flags: 2, csum: 0x1234 });
      const [received] = driver.receiveInHand();
      const handle = received?.handle ?? -1;
      expect(device.txBurst(Uint32Array.of(handle), Uint32Array.of(64), 1)).toBe(1);
      driver.inHand.delete(handle);
      expect(transport.tx.drain()).toEqual([frameOf(i)]);
    }
  });

  it('5.1.6.2: puts header and packet into one descriptor, in the order of the frames', async () => {
    const { transport } = await open();
    const frames = [1, 2, 3, 4, 5].map((i) => frameOf(i, 60 + i));
    expect(driver.send(frames)).toBe(5);
    expect(transport.tx.drain()).toEqual(frames);
  });
});

describe('5.1.6.3.1 setting up receive buffers', () => {
  // Clauses: 5.1.6.3.1a
  it.each([
    ['without', BASIC],
    ['with', BASIC | MERGEABLE],
  ])('SHOULD post receive buffers of at least 1526 bytes (%s MRG_RXBUF)', async (_, offered) => {
    const { transport } = await open(offered);
    const chains = transport.rx.takeAll();
    expect(chains).toHaveLength(8);
    for (const { segments } of chains) expect(segments[0]?.length).toBeGreaterThanOrEqual(1526);
  });

  it('5.1.6.3: keeps the receive queue as full as possible', async () => {
    const { transport } = await open();
    for (let i = 0; i < 50; i++) {
      expect(transport.rx.deliver(frameOf(i))).toBe(true);
      if (i % 3 === 2) {
        driver.receive();
        expect(transport.rx.available()).toBe(8);
      }
    }
  });
});

describe('5.1.6.4.2 processing of incoming packets', () => {
  // Clauses: 5.1.6.4.2a
  it('MUST ignore flag bits that it does not recognise', async () => {
    const { transport } = await open();
    const chain = transport.rx.take();
    transport.rx.deliverInto(chain as NonNullable<typeof chain>, frameOf(1), 1, { flags: 0xff });
    expect(driver.receive()).toEqual([frameOf(1)]);
  });

  // Clauses: 5.1.6.4.2b
  it('MUST NOT use csum_start and csum_offset: no byte of the frame changes', async () => {
    const { transport } = await open();
    const chain = transport.rx.take();
    transport.rx.deliverInto(chain as NonNullable<typeof chain>, frameOf(1), 1, { flags: 1, csum: 20 });
    expect(driver.receive()).toEqual([frameOf(1)]);
  });

  it('5.1.6.4: takes num_buffers for 1 without MRG_RXBUF, whatever a device writes', async () => {
    const { transport } = await open();
    const chain = transport.rx.take();
    transport.rx.deliverInto(chain as NonNullable<typeof chain>, frameOf(1), 3);
    transport.rx.deliver(frameOf(2));
    expect(driver.receive()).toEqual([frameOf(1), frameOf(2)]);
  });

  it('5.1.6.4: takes a packet for whole with MRG_RXBUF if num_buffers is 1 or 0', async () => {
    const { transport } = await open(BASIC | MERGEABLE);
    for (const [i, buffers] of [1, 0, 1].entries()) {
      const chain = transport.rx.take();
      transport.rx.deliverInto(chain as NonNullable<typeof chain>, frameOf(i), buffers);
    }
    expect(driver.receive()).toEqual([frameOf(0), frameOf(1), frameOf(2)]);
  });

  it('5.1.6.4: drops a packet in several buffers as a whole, and counts it once', async () => {
    const { device, transport } = await open(BASIC | MERGEABLE);
    const { rx } = transport;
    rx.deliver(frameOf(1));
    const first = rx.take();
    rx.deliverInto(first as NonNullable<typeof first>, frameOf(2, CAPACITY - 12), 3);
    expect(driver.receive()).toEqual([frameOf(1)]);
    // The second buffer has no header: what looks like a header is data.
    for (const length of [CAPACITY, 20]) {
      const chain = rx.take();
      rx.use(chain as NonNullable<typeof chain>, length);
    }
    rx.deliver(frameOf(3));
    expect(driver.receive()).toEqual([frameOf(3)]);
    expect(device.counters()).toMatchObject({ rx_packets: 2, rx_dropped_too_long: 1, rx_dropped_bad_length: 0 });
    expect(driver.account()).toEqual({ pool: 24, rx: 8, tx: 0, hand: 0 });
  });
});
