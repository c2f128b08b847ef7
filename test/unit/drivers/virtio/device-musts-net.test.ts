/**
 * What virtio 1.2 demands of a network device (2.1 to 2.4, 5.1, 6.2), clause by clause. The device is the vhost-user
 * backend together with the frontend's process. test/CLAUSES.md lists all clauses, also those that other tests show.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { offeredFeatures } from '../../../../drivers/transports/vhost-user/backend-features.js';
import * as p from '../../../../drivers/transports/vhost-user/protocol.js';
import type { QueuePair } from '../../../../drivers/transports/vhost-user/queue-pair.js';
import { MAX_BURST, PacketBurst } from '../../../../drivers/virtio/device/packet-burst.js';
import * as f from '../../../../drivers/virtio/features.js';
import { BackendSuite, MODERN } from '../../../support/vhost-user/backend-suite.js';
import type { FakeFrontend } from '../../../support/vhost-user/fake-frontend.js';
import { frameOf } from '../../../support/virtio/driver-under-test.js';

const R = p.VhostUserRequest;
const WITH_STATUS = p.PROTOCOL_F_REPLY_ACK | p.PROTOCOL_F_STATUS | p.PROTOCOL_F_MTU;
const HEADER = 12;
const ALL = Uint8Array.from({ length: MAX_BURST }, (_, i) => i);

const suite = new BackendSuite();
let pair: QueuePair;
let frontend: FakeFrontend;
let burst: PacketBurst;

beforeEach(() => {
  suite.listen();
  suite.connect();
  ({ pair, frontend, burst } = suite);
});

const started = (): Promise<void> => suite.started();
const setStatus = (bits: number): Promise<boolean> => frontend.confirm(R.SET_STATUS, p.encodeU64(BigInt(bits)));
const status = async (): Promise<number> => Number(p.decodeU64(await frontend.ask(R.GET_STATUS), 'status'));

/** Starts and enables both rings. */
async function run(features = 0n): Promise<void> {
  frontend.start(MODERN | features, WITH_STATUS);
  expect(await setStatus(15)).toBe(true);
  await started();
}

function send(frame: Uint8Array, header: readonly number[] = []): void {
  const offset = frontend.tx.buffer(HEADER + frame.length);
  frontend.window.u8.set(header, offset);
  frontend.window.u8.set(frame, offset + HEADER);
  frontend.tx.offer([{ offset, length: HEADER + frame.length }]);
}

function taken(): Uint8Array[] {
  const count = pair.take(burst, MAX_BURST);
  const frames = Array.from({ length: count }, (_, i) => {
    const from = burst.segmentOffset[burst.firstSegment[i]!]!;
    return frontend.window.u8.slice(from, from + burst.length[i]!);
  });
  pair.complete();
  return frames;
}

/** Posts buffers of these sizes; returns where they are. */
function post(...lengths: number[]): number[] {
  return lengths.map((length) => {
    const offset = frontend.rx.buffer(length);
    frontend.rx.offer([{ offset, length, write: true }]);
    return offset;
  });
}

/** Gives a frame to the port; true when the driver got it. */
function arrive(frame: Uint8Array): boolean {
  const buffer = new SharedArrayBuffer(16384);
  const memory = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
  memory.u8.set(frame);
  const packets = new PacketBurst(memory);
  packets.push(0, frame.length);
  return pair.put(packets, ALL, 1) === 1;
}

const bytesAt = (offset: number, length: number): Uint8Array => frontend.window.u8.slice(offset, offset + length);

describe('2.1.2 device status', () => {
  // Clauses: 2.1.2a
  it('MUST NOT consume buffers or notify before DRIVER_OK', async () => {
    frontend.start(MODERN, WITH_STATUS);
    expect(await setStatus(11)).toBe(true);
    send(frameOf(1));
    post(1600);
    frontend.kick(0);
    frontend.kick(1);
    // The device answers twice after it could have seen the kicks, and has done nothing about them.
    for (let i = 0; i < 2; i++) expect(await status()).toBe(11);
    expect(taken()).toEqual([]);
    expect(arrive(frameOf(2))).toBe(false);
    expect([frontend.tx.takeUsed(), frontend.rx.takeUsed()]).toEqual([[], []]);
    expect([frontend.tx.takeSignal(), frontend.rx.takeSignal()]).toEqual([false, false]);
    expect(await setStatus(15)).toBe(true);
    await started();
    expect(taken()).toEqual([frameOf(1)]);
    expect(arrive(frameOf(2))).toBe(true);
  });

  // Clauses: 2.1.2a
  it('MUST NOT discard what a ring that is not enabled holds', async () => {
    frontend.setFeatures(MODERN, WITH_STATUS);
    frontend.setMemory();
    frontend.setRing(1);
    frontend.setKick(1);
    frontend.setEnabled(1, 0);
    send(frameOf(1));
    frontend.kick(1);
    for (let i = 0; i < 3; i++) expect(await status()).toBe(0);
    expect(frontend.tx.takeUsed()).toEqual([]);
  });
});

describe('2.2.2 feature bits', () => {
  // Clauses: 2.2.2a
  it('MUST NOT offer a feature without the one that it requires', async () => {
    const asked = p.decodeU64(await frontend.ask(R.GET_FEATURES), 'features');
    // Those that require CTRL_VQ (5.1.3.1), which needs the config space: the device offers none of them.
    const controlled =
      f.VIRTIO_NET_F_CTRL_RX | f.VIRTIO_NET_F_GUEST_ANNOUNCE | f.VIRTIO_NET_F_MQ | f.VIRTIO_NET_F_CTRL_MAC_ADDR;
    expect(f.featureNames(asked & (controlled | f.VIRTIO_NET_F_RSS))).toBe('none');
    const hostTso = f.VIRTIO_NET_F_HOST_TSO4 | f.VIRTIO_NET_F_HOST_TSO6;
    const guestTso = f.VIRTIO_NET_F_GUEST_TSO4 | f.VIRTIO_NET_F_GUEST_TSO6;
    // Whatever offloads a port is limited to.
    for (const offered of [asked, ...Array.from({ length: 16 }, (_, offloads) => offeredFeatures(1, offloads))]) {
      for (const [dependent, required] of [
        [hostTso, f.VIRTIO_NET_F_CSUM],
        [guestTso, f.VIRTIO_NET_F_GUEST_CSUM],
        [f.VIRTIO_NET_F_HOST_ECN, hostTso],
        [f.VIRTIO_NET_F_GUEST_ECN, guestTso],
      ] as const) {
        if ((offered & dependent) !== 0n) expect(offered & required).not.toBe(0n);
      }
    }
  });

  // Clauses: 2.2.2b
  it('MUST NOT keep FEATURES_OK when it did not accept the features', async () => {
    frontend.setFeatures(MODERN, WITH_STATUS);
    expect(await setStatus(3)).toBe(true);
    expect(await frontend.confirm(R.SET_FEATURES, p.encodeU64(MODERN | f.VIRTIO_NET_F_STATUS))).toBe(false);
    expect(await setStatus(11)).toBe(true);
    expect(await status()).toBe(3);
    expect(await frontend.confirm(R.SET_FEATURES, p.encodeU64(MODERN))).toBe(true);
    expect(await setStatus(11)).toBe(true);
    expect(await status()).toBe(11);
  });
});

describe('2.4.1 device reset', () => {
  // Clauses: 2.4.1a
  it.each(['SET_STATUS', 'RESET_DEVICE'] as const)('MUST set the status to 0 (%s)', async (how) => {
    await run();
    const payload = how === 'SET_STATUS' ? p.encodeU64(0n) : null;
    expect(await frontend.confirm(R[how], payload)).toBe(true);
    expect(await status()).toBe(0);
  });

  // Clauses: 2.4.1b
  it('MUST NOT notify or touch a queue after a reset until it is initialised again', async () => {
    await run();
    expect(await setStatus(0)).toBe(true);
    send(frameOf(1));
    post(1600);
    const before = frontend.window.u8.slice();
    frontend.kick(0);
    frontend.kick(1);
    for (let i = 0; i < 2; i++) expect(await status()).toBe(0);
    expect(taken()).toEqual([]);
    expect(arrive(frameOf(2))).toBe(false);
    expect(Buffer.compare(frontend.window.u8, before)).toBe(0);
    expect([frontend.tx.takeSignal(), frontend.rx.takeSignal()]).toEqual([false, false]);
  });
});

describe('5.1.4.1 MTU', () => {
  const setMtu = (mtu: number): Promise<boolean> => frontend.confirm(R.NET_SET_MTU, p.encodeU64(BigInt(mtu)));

  // Clauses: 5.1.4.1b
  it('MUST be between 68 and 65535', async () => {
    frontend.setFeatures(MODERN | f.VIRTIO_NET_F_MTU, WITH_STATUS);
    for (const [mtu, possible] of [
      [67, false],
      [68, true],
      [65535, true],
      [65536, false],
    ] as const) {
      expect(await setMtu(mtu)).toBe(possible);
    }
  });

  // Clauses: 5.1.4.1d
  it('MUST NOT be exceeded by what follows the Ethernet header and VLAN tag', async () => {
    await run(f.VIRTIO_NET_F_MTU | f.VIRTIO_NET_F_MRG_RXBUF);
    expect(await setMtu(1000)).toBe(true);
    post(2048, 2048, 2048);
    expect([1019, 1018, 3000, 1014].map((length) => arrive(frameOf(1, length)))).toEqual([false, true, false, true]);
    expect(pair.counters().out_tooLong).toBe(2);
    expect(frontend.rx.takeUsed().map(({ length }) => length)).toEqual([HEADER + 1018, HEADER + 1014]);
  });

  it('limits no frame where it was not negotiated', async () => {
    await run();
    expect(await setMtu(1000)).toBe(true);
    post(4096);
    expect(arrive(frameOf(1, 3000))).toBe(true);
  });

  // Clauses: 5.1.4.1e
  it('MUST be forwarded in one piece', async () => {
    await run(f.VIRTIO_NET_F_MTU);
    expect(await setMtu(9000)).toBe(true);
    send(frameOf(1, 9014));
    expect(taken()).toEqual([frameOf(1, 9014)]);
  });
});

describe('5.1.6.2.2 packet transmission', () => {
  // Clauses: 5.1.6.2.2a, 5.1.6.2.2b, 5.1.6.2.2c
  it('MUST ignore flag bits, csum_start, csum_offset and hdr_len', async () => {
    await run();
    const headers = [
      [0xff, 0, 0xff, 0xff, 0xff, 0xff, 20, 0, 2, 0, 0xff, 0xff],
      [0xfe, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 7, 0],
      [0, 0, 0xff, 0xff, 0, 0, 14, 0, 0, 0, 0, 0],
    ];
    headers.forEach((header, i) => {
      send(frameOf(i), header);
    });
    expect(taken()).toEqual(headers.map((_, i) => frameOf(i)));
  });

  // Clauses: 5.1.6.2.2d
  it('MUST NOT rely on checksums: passes on a frame whatever they are', async () => {
    await run();
    const frame = frameOf(1, 60).fill(0xff, 14);
    send(frame);
    expect(taken()).toEqual([frame]);
  });
});

describe('5.1.6.3.2, 5.1.6.4.1 incoming packets', () => {
  // Clauses: 5.1.6.4.1a, 5.1.6.4.1e, 5.1.6.4.1f, 5.1.6.4.1g, 5.1.6.4.1h
  it('without MRG_RXBUF MUST set num_buffers to 1, and flags and gso_type to 0', async () => {
    await run();
    const [offset] = post(1600);
    frontend.window.u8.fill(0xee, offset!, offset! + 1600);
    expect(arrive(frameOf(1))).toBe(true);
    expect([...bytesAt(offset!, HEADER)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
  });

  // Clauses: 5.1.6.3.2b
  it('without MRG_RXBUF MUST use one buffer: drops a frame that does not fit', async () => {
    await run();
    post(100, 100, 100);
    expect(arrive(frameOf(1, 150))).toBe(false);
    expect(frontend.rx.takeUsed()).toEqual([]);
    expect(arrive(frameOf(1, 88))).toBe(true);
    expect(frontend.rx.takeUsed()).toHaveLength(1);
  });

  // Clauses: 5.1.6.3.2a, 5.1.6.4.1b, 5.1.6.4.1c
  it('with MRG_RXBUF MUST say how many buffers there are, and fill all but the last', async () => {
    await run(f.VIRTIO_NET_F_MRG_RXBUF);
    const offsets = post(100, 50, 200, 300);
    expect(arrive(frameOf(1, 150))).toBe(true);
    expect([...bytesAt(offsets[0]!, HEADER)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0]);
    expect(frontend.rx.takeUsed().map(({ length }) => length)).toEqual([100, 50, 12]);
    expect(arrive(frameOf(2, 150))).toBe(true);
    expect([...bytesAt(offsets[3]!, HEADER)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
  });

  // Clauses: 5.1.6.4.1d
  it('MUST use all buffers of a packet together, by one step of the used index', async () => {
    await run(f.VIRTIO_NET_F_MRG_RXBUF);
    post(100, 100);
    expect(arrive(frameOf(1, 250))).toBe(false);
    expect(frontend.rx.takeUsed()).toEqual([]);
    post(100);
    const index = (frontend.rx.place.used + 2) >> 1;
    const seen: number[] = [];
    const store = Atomics.store;
    Atomics.store = ((array: Uint16Array, at: number, value: number) => {
      // The backend has its window elsewhere. The test sees only that there was one store, and its value.
      seen.push(value);
      return store(array, at, value);
    }) as typeof Atomics.store;
    try {
      expect(arrive(frameOf(1, 250))).toBe(true);
    } finally {
      Atomics.store = store;
    }
    expect(seen).toEqual([3]);
    expect(frontend.window.u16[index]).toBe(3);
  });
});

describe('6.2 reserved feature bits', () => {
  // Clauses: 6.2a, 6.2c
  it('MUST have VERSION_1 offered, and not SR_IOV, as this is no PCI device', async () => {
    const offered = p.decodeU64(await frontend.ask(R.GET_FEATURES), 'features');
    expect(offered & f.VIRTIO_F_VERSION_1).not.toBe(0n);
    expect(offered & (1n << 37n)).toBe(0n);
  });
});
