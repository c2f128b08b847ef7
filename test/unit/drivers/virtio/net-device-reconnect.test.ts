/** The network device when its backend goes away, when it comes back, and when it is closed at any moment. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { VirtioNetDevice } from '../../../../drivers/virtio/virtio-net-device.js';
import { openFds } from '../../../support/resources.js';
import { AT_REST, DriverSuite } from '../../../support/virtio/driver-suite.js';
import { frameOf, QUEUE_SIZE } from '../../../support/virtio/driver-under-test.js';
import { FakeTransport, type Step, WITH_CONFIG } from '../../../support/virtio/fake-transport.js';

/** All status bits that a start sets, in the last write of it. */
const DRIVER_OK = 15;
const suite = new DriverSuite();

describe('a device that goes away', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });

  it('is down at once, and comes back with its buffers and its traffic', async () => {
    const { device, transport } = await suite.open();
    const told = suite.listen();
    let wakes = 0;
    device.onWake = () => wakes++;
    suite.driver.send([frameOf(1), frameOf(2), frameOf(3)]);
    transport.tx.use(transport.tx.take() as never, 0);
    transport.rx.deliver(frameOf(9));
    transport.lose('mock: the backend hung up');
    expect([device.isUp, wakes]).toEqual([false, 1]);
    expect(suite.driver.receive()).toEqual([]);
    expect(suite.driver.send([frameOf(4)])).toBe(0);
    expect(device.enableRxInterrupt()).toBe(true);
    device.disableRxInterrupt();
    device.reclaimTx();
    await vi.advanceTimersByTimeAsync(50);
    expect([device.isUp, wakes]).toEqual([true, 2]);
    expect(told).toEqual(['down: mock: the backend hung up', 'up: mock is back']);
    expect(suite.driver.account()).toEqual(AT_REST);
    // One of the three frames was sent before the loss. One received frame was not taken by the stack.
    expect(device.counters()).toMatchObject({
      tx_lost_on_reset: 2,
      rx_lost_on_reset: 1,
      reconnects: 1,
      device_errors: 0,
    });
    transport.rx.deliver(frameOf(5));
    expect(suite.driver.receive()).toEqual([frameOf(5)]);
    suite.driver.send([frameOf(6)]);
    expect(transport.tx.drain()).toEqual([frameOf(6)]);
  });

  it('is not up if it ends with the answer to the last message of the start', async () => {
    const { device, transport } = await suite.open();
    const told = suite.listen();
    transport.lose('mock: the backend hung up');
    const setStatus = transport.setStatus.bind(transport);
    let starts = 0;
    transport.setStatus = async (status) => {
      await setStatus(status);
      if (status === DRIVER_OK && ++starts === 1) transport.lose('gone');
    };
    await vi.advanceTimersByTimeAsync(50);
    expect([starts, device.isUp]).toEqual([1, false]);
    await vi.advanceTimersByTimeAsync(100);
    expect([starts, device.isUp, device.counters().reconnects]).toEqual([2, true, 1]);
    expect(told).toEqual(['down: mock: the backend hung up', 'down: gone', 'up: mock is back']);
  });

  it('is tried again for as long as it takes, after 50 ms to a quarter of a second', async () => {
    const { device, transport } = await suite.open();
    const told = suite.listen();
    transport.before = (step) => {
      if (step === 'connect') throw new Error('mock: there is no such socket');
    };
    transport.lose();
    const attempts: number[] = [];
    const start = Date.now();
    const { before: refuse } = transport;
    transport.before = (step) => {
      if (step === 'connect') attempts.push(Date.now() - start);
      return refuse(step);
    };
    await vi.advanceTimersByTimeAsync(1500);
    expect(attempts).toEqual([50, 150, 350, 600, 850, 1100, 1350]);
    // The reason is told once, not seven times.
    expect(told).toEqual(['down: mock: the backend hung up', 'down: mock: there is no such socket']);
    transport.before = () => {};
    await vi.advanceTimersByTimeAsync(1000);
    expect(device.isUp).toBe(true);
    expect(device.counters().reconnects).toBe(1);
    // The first wait after the next loss is short again.
    transport.lose();
    await vi.advanceTimersByTimeAsync(50);
    expect(device.isUp).toBe(true);
  });

  it('is not tried again where the transport says that it cannot come back', async () => {
    const { device, transport } = await suite.open((t) => {
      t.canReconnect = false;
    });
    const told = suite.listen();
    transport.lose('mock: the device was removed');
    await vi.advanceTimersByTimeAsync(5000);
    expect(told).toEqual(['down: mock: the device was removed']);
    expect(device.isUp).toBe(false);
    expect(transport.calls.filter((call) => call === 'connect')).toHaveLength(1);
  });

  it('comes back although the stack holds every buffer that was not in a ring', async () => {
    const { device, transport } = await suite.open();
    const told = suite.listen();
    const kept: number[] = [];
    while (device.pool.available > 0) {
      transport.rx.deliver(frameOf(1));
      for (const { handle } of suite.driver.receiveInHand()) kept.push(handle);
    }
    transport.needReset();
    await vi.advanceTimersByTimeAsync(50);
    expect(device.isUp).toBe(true);
    expect(told.at(-1)).toBe('up: mock is back');
    expect(suite.driver.account()).toEqual({ pool: 0, rx: QUEUE_SIZE, tx: 0, hand: kept.length });
    for (const handle of kept) suite.driver.giveBack(handle);
  });

  it('stays down while the stack holds too many buffers for a larger ring', async () => {
    const transport = new FakeTransport();
    transport.queueLimits = [4, 8];
    const device = await VirtioNetDevice.open(transport, { hugepages: 'never', buffers: 4096 });
    const told: string[] = [];
    device.onLink = (state, reason) => told.push(`${state}: ${reason}`);
    const kept = Array.from({ length: 3084 }, () => device.pool.get());
    transport.queueLimits = [1024, 8];
    transport.lose('mock: gone');
    await vi.advanceTimersByTimeAsync(1000);
    expect(told).toEqual(['down: mock: gone', expect.stringMatching(/^down: mock: the stack holds so many buffers/)]);
    for (const handle of kept) device.pool.put(handle);
    await vi.advanceTimersByTimeAsync(1000);
    expect(told.at(-1)).toBe('up: mock is back');
    expect(device.pool.available).toBe(4096 - 1024);
    await device.close();
    expect(transport.violations).toEqual([]);
  });

  it('comes back smaller when the device allows less than before', async () => {
    const transport = new FakeTransport();
    const device = await VirtioNetDevice.open(transport, { hugepages: 'never', buffers: 4096 });
    transport.queueLimits = [64, 32];
    transport.lose();
    await vi.advanceTimersByTimeAsync(50);
    expect([transport.rx.layout.size, transport.tx.layout.size]).toEqual([64, 32]);
    expect(device.pool.available).toBe(4096 - 64);
    transport.queueLimits = [4096, 4096];
    transport.lose();
    await vi.advanceTimersByTimeAsync(50);
    expect(device.pool.available).toBe(4096 - 1024);
    await device.close();
    expect(transport.violations).toEqual([]);
  });

  it('reports its link as down when it comes back with the link down', async () => {
    const { device, transport } = await suite.open((t) => {
      t.offered = WITH_CONFIG;
    });
    const told = suite.listen();
    transport.config[6] = 0;
    transport.lose('mock: gone');
    await vi.advanceTimersByTimeAsync(50);
    expect(told).toEqual(['down: mock: gone']);
    expect(device.isUp).toBe(false);
    transport.setLink(true);
    await vi.advanceTimersByTimeAsync(0);
    expect(told).toEqual(['down: mock: gone', 'up: mock: the device reports its link up']);
  });
});

describe('closing', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });

  it('leaves no descriptor and no timer, and the second call waits for the first', async () => {
    const { device, transport } = await suite.open();
    const seen: string[] = [];
    const first = device.close().then(() => seen.push('first'));
    const second = device.close().then(() => seen.push('second'));
    expect(suite.driver.receive()).toEqual([]);
    expect(suite.driver.send([frameOf(1)])).toBe(0);
    await Promise.all([first, second]);
    expect(seen).toEqual(['first', 'second']);
    expect(device.isUp).toBe(false);
    expect(transport.connected).toBe(false);
    expect(openFds()).toBe(suite.fdsBefore);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('ends the attempts while it waits for the next one', async () => {
    const { device, transport } = await suite.open();
    transport.lose();
    await device.close();
    await vi.advanceTimersByTimeAsync(5000);
    expect(transport.calls.filter((call) => call === 'connect')).toHaveLength(1);
    expect(openFds()).toBe(suite.fdsBefore);
  });

  it('ends the attempts when it is called by the handler of the loss', async () => {
    const { device, transport } = await suite.open();
    device.onLink = () => void device.close();
    transport.lose();
    await vi.advanceTimersByTimeAsync(5000);
    expect(transport.calls.filter((call) => call === 'connect')).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  const steps: Step[] = ['connect', 'reset', 'setStatus', 'getDeviceFeatures', 'setDriverFeatures', 'getStatus'];
  it.each([...steps, 'readConfig', 'maxQueueSize', 'setupQueue'] as Step[])(
    'stays closed and leaves nothing when it starts again in the middle of %s',
    async (step) => {
      const { device, transport } = await suite.open((t) => {
        t.offered = WITH_CONFIG;
      });
      const told = suite.listen();
      let release = (): void => {};
      const gate = new Promise<void>((resolve) => {
        release = resolve;
      });
      transport.before = (now) => (now === step ? gate : undefined);
      transport.lose('mock: gone');
      await vi.advanceTimersByTimeAsync(50);
      expect(device.isUp).toBe(false);
      const closing = device.close();
      release();
      await closing;
      await vi.advanceTimersByTimeAsync(5000);
      expect(told).toEqual(['down: mock: gone']);
      expect(device.isUp).toBe(false);
      expect(transport.connected).toBe(false);
      expect(transport.calls.at(-1)).toBe('close');
      expect(vi.getTimerCount()).toBe(0);
      expect(openFds()).toBe(suite.fdsBefore);
    },
  );
});
