/**
 * The start of the network device: what it negotiates, what it refuses and how it says so, and what it reports later.
 */
import { describe, expect, it, vi } from 'vitest';
import * as f from '../../../../drivers/virtio/features.js';
import { type NetDeviceOptions, VirtioNetDevice } from '../../../../drivers/virtio/virtio-net-device.js';
import { openFds } from '../../../support/resources.js';
import { AT_REST, DriverSuite } from '../../../support/virtio/driver-suite.js';
import { BASIC, FakeTransport, type Step, WITH_CONFIG } from '../../../support/virtio/fake-transport.js';

const suite = new DriverSuite();

describe('opening', () => {
  it.each([
    ['only VERSION_1', BASIC, true, 'VERSION_1'],
    ['a configuration space', WITH_CONFIG, true, 'MTU, MAC, STATUS, VERSION_1'],
    ['a configuration space that cannot be read', WITH_CONFIG, false, 'VERSION_1'],
    ['all 64 bits', 2n ** 64n - 1n, true, 'MTU, MAC, MRG_RXBUF, STATUS, EVENT_IDX, VERSION_1, SPEED_DUPLEX'],
  ])('negotiates what it understands with a device that offers %s', async (_, offered, hasConfig, accepted) => {
    const { device } = await suite.open((t) => {
      t.offered = offered;
      t.hasConfig = hasConfig;
    });
    expect(f.featureNames(device.features)).toBe(accepted);
    expect(device.isUp).toBe(true);
  });

  it('does not negotiate what it was told not to', async () => {
    const { device } = await suite.open(
      (t) => {
        t.offered = WITH_CONFIG | f.VIRTIO_F_EVENT_IDX;
      },
      { withoutFeatures: f.VIRTIO_F_EVENT_IDX | f.VIRTIO_NET_F_STATUS },
    );
    expect(f.featureNames(device.features)).toBe('MTU, MAC, VERSION_1');
  });

  it('takes address and MTU from the options, then the device, then its defaults', async () => {
    const mac = Uint8Array.of(2, 0, 0, 0, 0, 9);
    const cases: [NetDeviceOptions, number, string, number][] = [
      [{ mac, mtu: 1400 }, 1500, '020000000009', 1400],
      [{}, 1400, '525400010203', 1400],
      [{}, 65535, '525400010203', 1500],
      [{ mtu: 1584 }, 65535, '525400010203', 1584],
      [{ mtu: 1585 }, 65535, '525400010203', 1585],
    ];
    for (const [options, deviceMtu, address, mtu] of cases) {
      const { device } = await suite.open((t) => {
        t.offered = WITH_CONFIG;
        t.setMtu(deviceMtu);
      }, options);
      expect([Buffer.from(device.mac).toString('hex'), device.mtu]).toEqual([address, mtu]);
      await device.close();
    }
  });

  it('starts with its link down where the device says so', async () => {
    const { device } = await suite.open((t) => {
      t.offered = WITH_CONFIG;
      t.config[6] = 0;
    });
    expect(device.isUp).toBe(false);
  });

  it('takes the largest ring that the device allows if no size was given', async () => {
    const transport = new FakeTransport();
    transport.queueLimits = [256, 700];
    const device = await VirtioNetDevice.open(transport, { hugepages: 'never' });
    expect([transport.rx.layout.size, transport.tx.layout.size]).toEqual([256, 512]);
    expect(transport.rx.takeAll()).toHaveLength(256);
    await device.close();
    expect(transport.violations).toEqual([]);
  });

  const failures: [string, (t: FakeTransport) => void, NetDeviceOptions, string | RegExp][] = [
    ['no device', (t) => (t.before = (step) => refuse(step, 'connect')), {}, 'mock: no connect'],
    [
      'no VERSION_1',
      (t) => (t.offered = f.VIRTIO_NET_F_MAC),
      {},
      /does not offer VIRTIO_F_VERSION_1 \(it offers MAC\)/,
    ],
    ['refused features', (t) => (t.refused = BASIC), {}, 'the device refuses the features MTU, MAC, STATUS, VERSION_1'],
    ['no queue', (t) => (t.queueLimits = [64, 0]), {}, /transmit queue: the device has no such queue \(it allows 0/],
    [
      'a queue too large',
      (t) => (t.queueLimits = [8, 4]),
      {},
      /8 entries asked for, but the device allows 4: set a small/,
    ],
    ['a queue size of 12', () => {}, { queueSize: 12 }, /queue size 12: a split queue has a power of two/],
    ['few buffers', () => {}, { buffers: 8 }, /8 buffers are too few: they must fill a receive ring of 8, and more/],
    ['an MTU of 0', () => {}, { mtu: 0 }, 'mock: MTU 0: at least 68 bytes'],
    ['an MTU of 67', () => {}, { mtu: 67 }, 'mock: MTU 67: at least 68 bytes'],
    ['an MTU that is no number', () => {}, { mtu: Number.NaN }, 'mock: MTU NaN'],
    [
      'more buffers than memory',
      () => {},
      { mtu: 40_000, buffers: 65_536 },
      /65536 buffers of 65536 bytes need more than 2 GiB/,
    ],
    ['an MTU of 65500', () => {}, { mtu: 65_500 }, 'mock: MTU 65500 is more than a buffer of 65536 bytes can hold'],
    [
      'an MTU above the device`s',
      (t) => t.setMtu(1400),
      { mtu: 1500 },
      'MTU 1500 asked for, but the device allows 1400',
    ],
    ['a device MTU of 67', (t) => t.setMtu(67), {}, "mock: the device's MTU 67 is less than 68"],
    ['a group address', (t) => (t.config[0] = 1), {}, "the device's MAC 01:54:00:01:02:03 is not a unicast address"],
    ['no address', (t) => t.config.fill(0, 0, 6), {}, "the device's MAC 00:00:00:00:00:00 is not a unicast address"],
  ];

  function refuse(step: Step, refused: Step): void {
    if (step === refused) throw new Error(`mock: no ${refused}`);
  }

  it.each(failures)('with %s: one clear line, and nothing left behind', async (_, prepare, options, reason) => {
    vi.useFakeTimers();
    let transport: FakeTransport | undefined;
    const opening = suite.open((t) => {
      transport = t;
      t.offered = WITH_CONFIG;
      prepare(t);
    }, options);
    await expect(opening).rejects.toThrow(reason);
    await expect(opening).rejects.not.toThrow('\n');
    expect(vi.getTimerCount()).toBe(0);
    expect(transport?.connected).toBe(false);
    expect(openFds()).toBe(suite.fdsBefore);
  });

  it('fails for good if the backend hangs up: there are no attempts in the background', async () => {
    vi.useFakeTimers();
    let transport = new FakeTransport();
    const opening = suite.open((t) => {
      transport = t;
      t.before = (step) => {
        if (step === 'setDriverFeatures') t.lose();
      };
    });
    await expect(opening).rejects.toThrow('mock: not connected');
    await vi.advanceTimersByTimeAsync(5000);
    expect(transport.calls.filter((call) => call === 'connect')).toHaveLength(1);
    expect(openFds()).toBe(suite.fdsBefore);
  });
});

describe('a device that reports a change', () => {
  it('is reset and initialised again when it needs a reset', async () => {
    vi.useFakeTimers();
    const { device, transport } = await suite.open();
    const told = suite.listen();
    transport.needReset();
    await vi.advanceTimersByTimeAsync(50);
    expect(told).toEqual(['down: mock: the device asks for a reset', 'up: mock is back']);
    expect(transport.status).toBe(15);
    expect(device.counters()).toMatchObject({ device_errors: 1, reconnects: 1 });
    expect(suite.driver.account()).toEqual(AT_REST);
  });

  it('reports each change of the link once and in order, however fast they come', async () => {
    const { device, transport } = await suite.open((t) => {
      t.offered = BASIC | f.VIRTIO_NET_F_STATUS;
    });
    const told = suite.listen();
    let asked = 0;
    transport.readConfig = async () => Uint8Array.of(asked++ % 2, 0);
    // Two reads run at the same time: the first sees the link down, the second up.
    for (let i = 0; i < 4; i++) transport.setLink(false);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(asked).toBe(4);
    expect(device.isUp).toBe(true);
    const [down, up] = ['down', 'up'].map((state) => `${state}: mock: the device reports its link ${state}`);
    expect(told).toEqual([down, up, down, up]);
  });

  it('reports nothing if a change notification changes nothing', async () => {
    const { transport } = await suite.open((t) => {
      t.offered = WITH_CONFIG;
    });
    const told = suite.listen();
    transport.setLink(true);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(told).toEqual([]);
  });
});
