/**
 * The control queue with a model of the device: which commands are sent, and what happens after bad answers (5.1.6.5).
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { VirtioPciTransport } from '../../../../../drivers/transports/virtio-pci/transport.js';
import * as f from '../../../../../drivers/virtio/features.js';
import { type NetDeviceOptions, VirtioNetDevice } from '../../../../../drivers/virtio/virtio-net-device.js';
import { VirtioPciModel } from '../../../../support/pci/virtio-pci-model.js';
import { until } from '../../../../support/until.js';

const PLAIN =
  f.VIRTIO_F_VERSION_1 | f.VIRTIO_F_ACCESS_PLATFORM | f.VIRTIO_NET_F_MAC | f.VIRTIO_NET_F_STATUS | f.VIRTIO_F_EVENT_IDX;
const CONTROL = PLAIN | f.VIRTIO_NET_F_CTRL_VQ | f.VIRTIO_NET_F_CTRL_RX | f.VIRTIO_NET_F_GUEST_ANNOUNCE;
const WITH_MAC = CONTROL | f.VIRTIO_NET_F_CTRL_MAC_ADDR;
const OTHER = [2, 0, 0, 0, 0, 7];

const NO_FILTER = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const promiscuous = (on: number) => [0, 0, on];
const allMulticast = (on: number) => [0, 1, on];

let device: VirtioNetDevice | undefined;

afterEach(async () => {
  vi.useRealTimers();
  await device?.close();
  device = undefined;
});

async function open(
  offered: bigint,
  options: NetDeviceOptions = {},
  prepare: (model: VirtioPciModel) => void = () => {},
) {
  const model = new VirtioPciModel();
  model.offered = offered;
  prepare(model);
  const transport = new VirtioPciTransport(model.name, () => model);
  device = await VirtioNetDevice.open(transport, { queueSize: 8, buffers: 32, hugepages: 'never', ...options });
  return { device, model };
}

describe('the receive filter', () => {
  // Clauses: 2.7.4.2a, 5.1.6.5.2.2b
  it('is our own address and broadcast', async () => {
    const { device, model } = await open(WITH_MAC);
    expect(model.commands).toEqual([NO_FILTER, promiscuous(0), allMulticast(0)]);
    expect(model.accepted).toBe(WITH_MAC);
    await device.close();
    expect(model.violations).toEqual([]);
  });

  it('is open where all frames, or all groups, are wanted', async () => {
    const { model } = await open(WITH_MAC, { promiscuous: true, allMulticast: true });
    expect(model.commands).toEqual([NO_FILTER, promiscuous(1), allMulticast(1)]);
  });

  it('has another address set as the address of the device, if it has the command', async () => {
    const { device, model } = await open(WITH_MAC, { mac: Uint8Array.from(OTHER) });
    expect(model.commands[0]).toEqual([1, 1, ...OTHER]);
    expect(model.commands[1]).toEqual(NO_FILTER);
    expect([...device.mac]).toEqual(OTHER);
  });

  // Clauses: 5.1.6.5.2.2b
  it('adds another address where the device cannot take it as its own', async () => {
    const { model } = await open(CONTROL, { mac: Uint8Array.from(OTHER) });
    expect(model.commands[0]).toEqual([1, 0, 1, 0, 0, 0, ...OTHER, 0, 0, 0, 0]);
  });

  it('sets the address that was chosen for a device without one', async () => {
    const { device, model } = await open(WITH_MAC & ~f.VIRTIO_NET_F_MAC);
    expect(model.commands[0]).toEqual([1, 1, ...device.mac]);
  });

  // Clauses: 5.1.6.5.1.2a, 5.1.6.5.2.2a
  it('is not set where the device has no control queue or none of these commands', async () => {
    const { model } = await open(PLAIN, { mac: Uint8Array.from(OTHER), promiscuous: true });
    expect([model.commands, model.queues[2]!.enabled]).toEqual([[], false]);
    await device!.close();
    const bare = await open(PLAIN | f.VIRTIO_NET_F_CTRL_VQ);
    expect([bare.model.commands, bare.model.queues[2]!.enabled]).toEqual([[], true]);
  });

  it('is set again after the device was reset', async () => {
    const { device, model } = await open(WITH_MAC);
    model.needReset();
    await until('the device to be back', () => device.counters().reconnects === 1);
    expect(model.commands).toHaveLength(6);
    expect(model.violations).toEqual([]);
  });
});

describe('the control queue on packed rings', () => {
  const PACKED = WITH_MAC | f.VIRTIO_F_RING_PACKED;
  const ring = 'packed';

  // Clauses: 2.8.17c, 2.8.17e, 4.1.4.3.2b
  it('carries any number of commands, round the ring', async () => {
    const { device, model } = await open(PACKED, { ring }, (m) => (m.queueLimits = [8, 8, 4]));
    for (let i = 0; i < 9; i++) {
      model.needReset();
      await until('the device to be back', () => device.counters().reconnects === i + 1);
    }
    let acknowledged = 0;
    model.onCommand = ([group]) => {
      if (group === 3) acknowledged++;
      return 0;
    };
    for (let i = 1; i <= 9; i++) {
      model.setNetStatus(3);
      await until('the acknowledgement', () => acknowledged === i);
      model.setNetStatus(1);
      await until('the configuration to be read', () => device.isUp);
    }
    expect(model.commands).toHaveLength(30 + 9);
    expect(model.accepted).toBe(PACKED);
    expect(model.violations).toEqual([]);
  });

  it('notices a used descriptor for a buffer that it did not offer', async () => {
    const opening = open(PACKED, { ring }, (m) => {
      m.onCommand = () => {
        m.queues[2]!.ring!.pushUsed(5, 1);
        return null;
      };
    });
    await expect(opening).rejects.toThrow('a used descriptor names buffer 5, which the device does not hold');
  });

  it('fails the opening of a device that refuses a command', async () => {
    await expect(open(PACKED, { ring }, (m) => (m.onCommand = () => 1))).rejects.toThrow(/the device refuses a filter/);
  });
});

describe('the control queue', () => {
  // Clauses: 5.1.6.5.4.1a
  it('acknowledges an announcement after it was made (5.1.6.5.4)', async () => {
    const { device, model } = await open(WITH_MAC);
    const events: string[] = [];
    device.onAnnounce = () => events.push('announce');
    model.onCommand = ([group]) => {
      if (group === 3) {
        events.push('acknowledge');
        model.setNetStatus(1);
      }
      return 0;
    };
    model.setNetStatus(3);
    await until('the acknowledgement', () => events.length >= 2);
    expect(events).toEqual(['announce', 'acknowledge']);
    expect(device.isUp).toBe(true);
    expect(model.violations).toEqual([]);
  });

  it.each([
    ['refuses', WITH_MAC, () => 1, /control queue: the device refuses a filter of 0 addresses/],
    ['answers nonsense', WITH_MAC, () => 0x55, /control queue: the device refuses a filter/],
  ])('fails the opening of a device that %s', async (_, offered, answer, expected) => {
    await expect(open(offered, {}, (m) => (m.onCommand = answer))).rejects.toThrow(expected);
  });

  it('does not wait for ever', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const opening = open(WITH_MAC, {}, (m) => {
      m.onCommand = () => {
        setImmediate(() => vi.advanceTimersByTime(1100));
        return null;
      };
    });
    await expect(opening).rejects.toThrow(
      'the device did not answer within 1000 ms to the request for a filter of 0 addresses',
    );
  });

  it('notices a used entry for a descriptor that it did not offer', async () => {
    const opening = open(WITH_MAC, {}, (m) => {
      m.onCommand = () => {
        m.queues[2]!.ring!.pushUsed(5, 1);
        return null;
      };
    });
    await expect(opening).rejects.toThrow('used entry names descriptor 5, which the device does not hold');
  });

  it('needs two entries', async () => {
    const opening = open(WITH_MAC, {}, (m) => (m.queueLimits = [8, 8, 1]));
    await expect(opening).rejects.toThrow('the device offers CTRL_VQ, but allows 1 entries');
  });
});
