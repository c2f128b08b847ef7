/**
 * What virtio 1.2 demands of a driver before the queues run and after them, clause by clause. test/CLAUSES.md lists all
 * clauses, also those that do not apply.
 */
import { afterEach, describe, expect, it } from 'vitest';
import * as f from '../../../../drivers/virtio/features.js';
import { DriverUnderTest, frameOf } from '../../../support/virtio/driver-under-test.js';
import { BASIC, type FakeTransport, type Step, WITH_CONFIG } from '../../../support/virtio/fake-transport.js';

let driver: DriverUnderTest | undefined;
let transport: FakeTransport;

/** Opens a device. The notes of the fake transport are asserted after the test. */
async function open(prepare: (transport: FakeTransport) => void = () => {}, options = {}): Promise<DriverUnderTest> {
  driver = await DriverUnderTest.open(options, (made) => {
    transport = made;
    prepare(made);
  });
  return driver;
}

afterEach(async () => {
  await driver?.device.close();
  driver = undefined;
  expect(transport.violations).toEqual([]);
});

describe('3.1.1 device initialisation', () => {
  // Clauses: 2.1.1a, 3.1.1a, 3.1.1c
  it('MUST follow the sequence: reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK, …', async () => {
    await open((t) => {
      t.offered = WITH_CONFIG;
    });
    expect(transport.calls).toEqual([
      'connect',
      'reset',
      'status 1',
      'status 3',
      'get features',
      'config 10+2',
      'features MTU, MAC, STATUS, VERSION_1',
      'status 11',
      'get status',
      'config 0+6',
      'config 6+2',
      'config 10+2',
      'limit 0',
      'limit 1',
      'queue 0',
      'queue 1',
      'status 15',
      'kick 0',
      'kick 0',
      'kick 1',
    ]);
  });

  // Clauses: 3.1.1d
  it('MUST re-read FEATURES_OK, and stop when the device has not kept it', async () => {
    const opening = open((t) => {
      t.offered = BASIC | f.VIRTIO_NET_F_MRG_RXBUF;
      t.refused = f.VIRTIO_NET_F_MRG_RXBUF;
    });
    await expect(opening).rejects.toThrow('mock: the device refuses the features MRG_RXBUF, VERSION_1');
    expect(transport.calls).not.toContain('queue 0');
  });

  // Clauses: 3.1.1d
  it('SHOULD set FAILED when a step fails for good, and MUST NOT continue', async () => {
    const steps: Step[] = ['getDeviceFeatures', 'setDriverFeatures', 'getStatus', 'readConfig', 'setupQueue'];
    for (const step of steps) {
      const opening = open((t) => {
        t.offered = WITH_CONFIG;
        t.before = (now) => {
          if (now === step) throw new Error(`no ${step}`);
        };
      });
      await expect(opening).rejects.toThrow(`no ${step}`);
      const failed = transport.calls.at(-2);
      expect(failed).toMatch(/^status \d+$/);
      expect(Number(failed?.slice(7)) & f.VIRTIO_STATUS_FAILED).not.toBe(0);
      expect(transport.calls.at(-1)).toBe('close');
      expect(transport.violations).toEqual([]);
    }
  });

  // Clauses: 3.1.1e
  it('MUST NOT notify the device before DRIVER_OK', async () => {
    // The fake transport notes a doorbell that comes too early.
    await open();
    const live = transport.calls.indexOf('status 15');
    expect(live).toBeGreaterThan(0);
    expect(transport.calls.findIndex((call) => call.startsWith('kick'))).toBeGreaterThan(live);
  });

  it('2.1.2: makes nothing available before DRIVER_OK that a device could consume', async () => {
    let published = -1;
    await open((t) => {
      t.before = (step) => {
        if (step === 'setStatus' && t.rings.length === 2) published = t.rx.availIndex + t.tx.availIndex;
      };
    });
    expect(published).toBe(0);
    expect(transport.rx.availIndex).toBe(8);
  });
});

describe('2.1.1 device status', () => {
  // Clauses: 2.1.1b
  it('MUST NOT clear a status bit: adds FAILED to those that are set', async () => {
    const opening = open((t) => {
      t.queueLimits = [4, 0];
    });
    await expect(opening).rejects.toThrow();
    expect(transport.calls).toContain('status 139');
  });

  // Clauses: 2.1.1c
  it('MUST reset the device after FAILED before it initialises it again', async () => {
    await open();
    let failures = 2;
    transport.before = (step) => {
      if (step === 'setupQueue' && failures-- > 0) throw new Error('not now');
    };
    transport.needReset();
    await new Promise<void>((resolve) => {
      (driver as DriverUnderTest).device.onLink = (state) => state === 'up' && resolve();
    });
    const { calls } = transport;
    const failed = calls.flatMap((call, i) => (call === 'status 139' ? [i] : []));
    expect(failed).toHaveLength(2);
    for (const i of failed) expect(calls.slice(i + 1, i + 4)).toEqual(['close', 'connect', 'reset']);
  });

  it('SHOULD NOT rely on completions once the device needs a reset: resets it', async () => {
    await open();
    (driver as DriverUnderTest).send([frameOf(1), frameOf(2)]);
    transport.needReset();
    await new Promise<void>((resolve) => {
      (driver as DriverUnderTest).device.onLink = (state) => state === 'up' && resolve();
    });
    expect((driver as DriverUnderTest).account()).toEqual({ pool: 24, rx: 8, tx: 0, hand: 0 });
    expect((driver as DriverUnderTest).device.counters()).toMatchObject({
      tx_lost_on_reset: 2,
      device_errors: 1,
      reconnects: 1,
    });
  });
});

describe('2.2.1 feature bits', () => {
  // Clauses: 2.2.1a, 2.2.1b
  it('MUST NOT accept what was not offered, nor a feature without the one it needs', async () => {
    // The fake transport notes both.
    for (const offered of [BASIC, WITH_CONFIG, BASIC | f.VIRTIO_NET_F_MTU, BASIC | f.VIRTIO_F_EVENT_IDX]) {
      await open((t) => {
        t.offered = offered;
      });
      expect(transport.accepted).toBe(offered);
      await driver?.device.close();
    }
  });

  // Clauses: 2.2.1a
  it('accepts those of all 64 bits that it understands, and no other', async () => {
    await open((t) => {
      t.offered = 2n ** 64n - 1n;
    });
    const understood = WITH_CONFIG | f.VIRTIO_F_EVENT_IDX | f.VIRTIO_NET_F_MRG_RXBUF | f.VIRTIO_NET_F_SPEED_DUPLEX;
    expect(f.featureNames(transport.accepted ?? 0n)).toBe(f.featureNames(understood));
  });

  // Clauses: 2.2.1c
  it('MUST set FAILED and stop where it has no backwards compatibility mode', async () => {
    const opening = open((t) => {
      t.offered = f.VIRTIO_NET_F_MAC;
    });
    await expect(opening).rejects.toThrow(/^mock: the device does not offer VIRTIO_F_VERSION_1 \(it offers MAC\)/);
    expect(transport.calls.slice(-2)).toEqual(['status 131', 'close']);
  });

  // Clauses: 6.1a
  it('6.1: MUST accept VERSION_1 if it is offered', async () => {
    await open();
    expect(transport.accepted).toBe(f.VIRTIO_F_VERSION_1);
  });
});

describe('2.5.1 device configuration space', () => {
  // Clauses: 2.5.1b
  it('MUST check that a feature is offered before it reads an optional field', async () => {
    // The fake transport notes every other read.
    await open((t) => {
      t.offered = BASIC | f.VIRTIO_NET_F_STATUS;
    });
    expect(transport.calls.filter((call) => call.startsWith('config'))).toEqual(['config 6+2']);
  });

  it('reads nothing where the transport has no configuration space', async () => {
    await open((t) => {
      t.offered = WITH_CONFIG;
      t.hasConfig = false;
    });
    expect(transport.calls.filter((call) => call.startsWith('config'))).toEqual([]);
    expect(transport.accepted).toBe(BASIC);
  });
});

describe('3.3.1 device cleanup', () => {
  // Clauses: 3.3.1b
  it('MUST NOT take back exposed buffers of a live queue, but only after the reset', async () => {
    await open();
    const { device } = driver as DriverUnderTest;
    (driver as DriverUnderTest).send([frameOf(1)]);
    const free = device.pool.available;
    const seen: number[] = [];
    transport.before = (step) => {
      if (step === 'close' || step === 'reset') seen.push(device.pool.available);
    };
    transport.needReset();
    await new Promise<void>((resolve) => {
      device.onLink = (state) => state === 'up' && resolve();
    });
    expect(seen).toEqual([free, free]);
    expect(device.pool.available).toBe(free + 1);
  });
});
