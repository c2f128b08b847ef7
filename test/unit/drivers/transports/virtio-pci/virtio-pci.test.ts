/** The driver with a model of a virtio PCI device: registers, doorbells, vectors and resets (virtio 1.2, 4.1). */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { VirtioPciTransport } from '../../../../../drivers/transports/virtio-pci/transport.js';
import * as f from '../../../../../drivers/virtio/features.js';
import { type NetDeviceOptions, VirtioNetDevice } from '../../../../../drivers/virtio/virtio-net-device.js';
import { FRAME_OFFSET } from '../../../../../rings/buffer-pool.js';
import { VirtioPciModel } from '../../../../support/pci/virtio-pci-model.js';
import { openFds, untilFds } from '../../../../support/resources.js';
import { until } from '../../../../support/until.js';
import { frameOf } from '../../../../support/virtio/driver-under-test.js';

const BASIC = f.VIRTIO_F_VERSION_1 | f.VIRTIO_F_ACCESS_PLATFORM;
const WITH_CONFIG = BASIC | f.VIRTIO_NET_F_MAC | f.VIRTIO_NET_F_STATUS | f.VIRTIO_NET_F_MTU;
const OPTIONS: NetDeviceOptions = { queueSize: 8, buffers: 32, hugepages: 'never' };

let before = 0;
let device: VirtioNetDevice | undefined;

beforeEach(() => {
  before = openFds();
});

afterEach(async () => {
  vi.useRealTimers();
  await device?.close();
  device = undefined;
  await untilFds(before);
});

async function open(
  prepare: (model: VirtioPciModel) => void = () => {},
  options: NetDeviceOptions = OPTIONS,
  model = new VirtioPciModel(),
) {
  model.offered = BASIC;
  prepare(model);
  const transport = new VirtioPciTransport(model.name, () => model);
  device = await VirtioNetDevice.open(transport, options);
  return { device, model };
}

async function refused(prepare: (model: VirtioPciModel) => void, expected: RegExp | string, model?: VirtioPciModel) {
  await expect(open(prepare, OPTIONS, model)).rejects.toThrow(expected);
}

const handles = new Uint32Array(64);
const lengths = new Uint32Array(64);

function receive(): Uint8Array[] {
  const { rxHandles, rxLengths } = device!;
  const count = device!.rxBurst(64);
  return Array.from({ length: count }, (_, i) => {
    const start = device!.pool.offsetOf(rxHandles[i]!) + FRAME_OFFSET;
    const frame = device!.memory.u8.slice(start, start + rxLengths[i]!);
    device!.pool.put(rxHandles[i]!);
    return frame;
  });
}

function send(frame: Uint8Array): void {
  handles[0] = device!.pool.get();
  lengths[0] = frame.length;
  device!.memory.u8.set(frame, device!.pool.offsetOf(handles[0]!) + FRAME_OFFSET);
  expect(device!.txBurst(handles, lengths, 1)).toBe(1);
}

describe('virtio over PCI', () => {
  // Clauses: 3.1.1c, 4.1.2.2a, 4.1.3.1a, 4.1.4.3.2a, 4.1.4.3.2c, 4.1.4.3.2d, 4.1.4.3.2f
  it('sends and receives, and accesses every register as the specification demands', async () => {
    const { device, model } = await open((m) => (m.offered = WITH_CONFIG | f.VIRTIO_F_EVENT_IDX));
    expect(model.status).toBe(0x0f);
    expect(model.accepted).toBe(WITH_CONFIG | f.VIRTIO_F_EVENT_IDX);
    expect([...device.mac]).toEqual([0x52, 0x54, 0, 1, 2, 3]);
    expect(device.mtu).toBe(1500);
    send(frameOf(1));
    expect(model.tx.notifications).toBeGreaterThan(0);
    expect(model.tx.drain()).toEqual([frameOf(1)]);
    expect(model.rx.deliver(frameOf(2, 1514))).toBe(true);
    expect(receive()).toEqual([frameOf(2, 1514)]);
    await device.close();
    expect(model.closed).toBe(true);
    expect([model.status, model.isBusMaster]).toEqual([0, false]);
    expect(model.violations).toEqual([]);
  });

  it('enables the bus only between two resets: no former driver reaches our memory', async () => {
    const { device, model } = await open();
    const atStart = model.log.slice(0, 3);
    expect(atStart).toEqual(['status 0', 'config 4 = 6', 'status 1']);
    await device.close();
    expect(model.log.slice(-2)).toEqual(['status 0', 'config 4 = 2']);
  });

  // Clauses: 4.1.4.1e
  it('writes only the command to the configuration space, and no capability', async () => {
    const { device, model } = await open((m) => (m.offered = WITH_CONFIG));
    await device.close();
    expect(model.log.filter((line) => line.startsWith('config '))).toEqual(['config 4 = 6', 'config 4 = 2']);
  });

  // Clauses: 6.1b
  it('accepts the features about the platform that are offered', async () => {
    const { model } = await open((m) => (m.offered = BASIC | f.VIRTIO_F_ORDER_PLATFORM | f.VIRTIO_F_RING_PACKED));
    expect(model.accepted).toBe(BASIC | f.VIRTIO_F_ORDER_PLATFORM);
  });

  // Clauses: 4.1.4.3.2c
  it('takes the rings as large as the device has them', async () => {
    const { model } = await open(undefined, { hugepages: 'never', buffers: 4096 });
    expect([model.queues[0]!.size, model.queues[1]!.size]).toEqual([256, 256]);
    expect(model.violations).toEqual([]);
  });

  // Clauses: 4.1.4.3.2e
  it('waits for a reset that takes its time', async () => {
    const { model } = await open((m) => (m.resetReads = 5));
    expect(model.violations).toEqual([]);
  });

  it('resets the function when the device does not reset, and reports if that fails', async () => {
    vi.useFakeTimers();
    const stuck = (canReset: boolean) => (m: VirtioPciModel) => {
      m.resetReads = Number.POSITIVE_INFINITY;
      m.canReset = canReset;
    };
    const opening = open(stuck(true));
    await vi.advanceTimersByTimeAsync(2100);
    expect((await opening).model.log).toContain('function reset');
    await device!.close();
    const failing = refused(stuck(false), /0000:00:10\.0: the device does not reset \(status 15\)/);
    await vi.advanceTimersByTimeAsync(5000);
    await failing;
    device = undefined;
  });

  it('wakes the stack by the receive vector', async () => {
    const { device, model } = await open();
    expect(device.pollOnly).toBe(false);
    expect([model.configVector, model.queues.map(({ vector }) => vector)]).toEqual([0, [1, 0xffff, 0xffff]]);
    let wakes = 0;
    device.onWake = () => wakes++;
    expect(device.enableRxInterrupt()).toBe(true);
    model.rx.deliver(frameOf(1));
    model.interrupt(0);
    await until('a wake-up', () => wakes === 1);
    expect(receive()).toEqual([frameOf(1)]);
  });

  // Clauses: 4.1.5.1.2.2a, 4.1.5.1.2.2b, 4.1.5.1.2.2c
  it.each([
    ['no vectors at all', (m: VirtioPciModel) => (m.interruptVectors = 0), true],
    ['a device that has no room for vectors', (m: VirtioPciModel) => (m.roomForVectors = 0), true],
    ['one vector, which is the receive queue`s', (m: VirtioPciModel) => (m.interruptVectors = 1), false],
  ])('works with %s', async (_, prepare, pollOnly) => {
    const { device, model } = await open((m) => {
      m.offered = WITH_CONFIG;
      prepare(m);
    });
    expect(device.pollOnly).toBe(pollOnly);
    expect(model.configVector).toBe(0xffff);
    model.rx.deliver(frameOf(3));
    expect(receive()).toEqual([frameOf(3)]);
    expect(model.violations).toEqual([]);
  });

  it.each([3, 0])('follows the link with %i vectors, told or by reading it', async (vectors) => {
    const { device, model } = await open((m) => {
      m.offered = WITH_CONFIG;
      m.interruptVectors = vectors;
    });
    const states: string[] = [];
    device.onLink = (state) => states.push(state);
    model.setNetStatus(0);
    await until('link down', () => !device.isUp);
    model.setNetStatus(1);
    await until('link up', () => device.isUp);
    expect(states).toEqual(['down', 'up']);
  });

  it.each([3, 0])('resets a device that needs it, with %i vectors, and goes on (2.1.2)', async (vectors) => {
    const { device, model } = await open((m) => (m.interruptVectors = vectors));
    const reasons: string[] = [];
    device.onLink = (_, reason) => reasons.push(reason);
    model.needReset();
    await until('the device to be back', () => device.counters().reconnects === 1);
    expect(reasons).toEqual(['0000:00:10.0: the device asks for a reset', '0000:00:10.0 is back']);
    send(frameOf(4));
    expect(model.tx.drain()).toEqual([frameOf(4)]);
    model.rx.deliver(frameOf(5));
    expect(receive()).toEqual([frameOf(5)]);
    expect(model.violations).toEqual([]);
  });

  // Clauses: 2.5.1a
  it('reads the configuration again while it changes, and not for ever', async () => {
    let changes = 0;
    const { device } = await open((m) => {
      m.offered = WITH_CONFIG;
      m.beforeConfigRead = () => {
        if (changes++ !== 3) return;
        // The address changes after half of it was read.
        m.netConfig.set([2, 0, 0, 0, 0, 9]);
        m.generation = (m.generation + 1) & 0xff;
      };
    });
    expect([...device.mac]).toEqual([2, 0, 0, 0, 0, 9]);
    await device.close();
    await refused((m) => {
      m.offered = WITH_CONFIG;
      m.beforeConfigRead = () => (m.generation = (m.generation + 1) & 0xff);
    }, 'the device changes its configuration without end');
  });

  it('says what the device lacks', async () => {
    await refused((m) => (m.barBytes = null), /no usable common configuration: .* of BAR 4\).* cannot be mapped/);
    await refused((m) => (m.queueLimits = [8, 0]), 'transmit queue: the device has no such queue');
    await refused((m) => (m.queueLimits = [8]), 'transmit queue: the device has no such queue');
    await refused((m) => (m.offered = f.VIRTIO_F_ACCESS_PLATFORM), 'does not offer VIRTIO_F_VERSION_1');
    await refused(() => {}, 'only the legacy interface of virtio 0.9', new VirtioPciModel([], 0x1000));
  });

  // Clauses: 6.1c
  it('demands hugepages where no IOMMU translates for the device, even if there is one', async () => {
    await refused((m) => (m.offered = f.VIRTIO_F_VERSION_1), /must be hugepages; reserve them with 'sysctl/);
    await refused((m) => (m.iova = null), /must be hugepages/);
  });

  // Clauses: 4.1.2.2b
  it('drives a transitional device by its modern interface', async () => {
    const { model } = await open(undefined, OPTIONS, new VirtioPciModel(undefined, 0x1000));
    expect(model.status).toBe(0x0f);
  });

  it('refuses a doorbell outside of its structure', async () => {
    const { modernCapabilities } = await import('../../../../support/pci/virtio-pci-config.js');
    const small = modernCapabilities().map((c) => (c.type === 2 ? { ...c, length: 4 } : c));
    await refused(() => {}, 'queue 1 is notified at 4, outside 4 bytes', new VirtioPciModel(small));
  });
});
