/** Two ports of a switch: what a frontend leaves unfinished, and what the other one gets, by what each has negotiated. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectUnix, Reactor } from '../../../../../drivers/libc/index.js';
import { WindowAllocator } from '../../../../../drivers/memory/index.js';
import { OFFLOAD_CSUM, PORT_OFFLOADS } from '../../../../../drivers/offloads.js';
import { VhostUserBackend } from '../../../../../drivers/transports/vhost-user/backend.js';
import * as p from '../../../../../drivers/transports/vhost-user/protocol.js';
import { MAX_BURST, PacketBurst } from '../../../../../drivers/virtio/device/packet-burst.js';
import * as f from '../../../../../drivers/virtio/features.js';
import { until } from '../../../../support/until.js';
import { FakeFrontend } from '../../../../support/vhost-user/fake-frontend.js';
import { netHeader, readNetHeader } from '../../../../support/virtio/net-headers.js';
import { bytesOf, segmentsOf, type TcpFrame, tcpStart } from '../../../../support/virtio/tcp-frames.js';

const R = p.VhostUserRequest;
const { VIRTIO_F_VERSION_1: MODERN, VHOST_USER_F_PROTOCOL_FEATURES: PROTOCOL } = f;
const HOST_TSO = f.VIRTIO_NET_F_HOST_TSO4 | f.VIRTIO_NET_F_HOST_TSO6;
const GUEST_TSO = f.VIRTIO_NET_F_GUEST_TSO4 | f.VIRTIO_NET_F_GUEST_TSO6;
const SENDS_ALL = MODERN | f.VIRTIO_NET_F_CSUM | HOST_TSO | f.VIRTIO_NET_F_HOST_ECN;
const TAKES_ALL = MODERN | f.VIRTIO_NET_F_GUEST_CSUM | GUEST_TSO | f.VIRTIO_NET_F_GUEST_ECN;
const ALL = Uint8Array.from({ length: MAX_BURST }, (_, i) => i);
const four: TcpFrame = { version: 4, payload: Array.from({ length: 2000 }, (_, i) => (i * 3) & 0xff) };
const six: TcpFrame = { ...four, version: 6 };

let folder: string;
let reactor: Reactor;
let windows: WindowAllocator;
let burst: PacketBurst;
let open: { close(): unknown }[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tspmd-'));
  reactor = new Reactor();
  windows = new WindowAllocator(64 << 20);
  burst = new PacketBurst({ u8: new Uint8Array(0), u16: new Uint16Array(0), u32: new Uint32Array(0) });
  open = [];
});

afterEach(() => {
  for (const one of open.reverse()) one.close();
  reactor.close();
  rmSync(folder, { recursive: true });
});

/** A port with these offloads, and a frontend that has negotiated these features. */
async function port(name: string, features: bigint, offloads = PORT_OFFLOADS, packed = false) {
  const path = join(folder, name);
  const backend = new VhostUserBackend({ path, reactor, windows, offloads });
  const frontend = new FakeFrontend(connectUnix(path), reactor, { packed });
  open.push(backend, frontend);
  frontend.start(features | PROTOCOL | (packed ? f.VIRTIO_F_RING_PACKED : 0n), 0n);
  const pair = backend.pairs[0]!;
  await until('both queues', () => pair.txQueue !== null && pair.rxQueue !== null);
  // Each buffer holds every packet of these tests.
  const [driver] = frontend.drivers;
  const posted = new Map<number, number>();
  for (let i = 0; i < 12; i++) {
    const offset = driver.buffer(4096);
    posted.set(driver.offer([{ offset, length: 4096, write: true }]), offset);
  }
  return { backend, frontend, pair, posted };
}
type Port = Awaited<ReturnType<typeof port>>;

/** Sends a packet behind this header. */
function send({ frontend }: Port, header: readonly number[], bytes: readonly number[]): void {
  const driver = frontend.drivers[1];
  const offset = driver.buffer(header.length + bytes.length);
  frontend.window.u8.set([...header, ...bytes], offset);
  driver.offer([{ offset, length: header.length + bytes.length }]);
}

/** Moves what `from` has sent to `to`; returns what it gets. */
function move(from: Port, to: Port, headerBytes = 12) {
  const count = from.pair.take(burst, MAX_BURST);
  to.pair.put(burst, ALL, count);
  from.pair.complete();
  return to.frontend.drivers[0].takeUsed().map(({ id, length }) => {
    const at = to.posted.get(id)!;
    const bytes = [...to.frontend.window.u8.slice(at, at + length)];
    return { header: readNetHeader(bytes.slice(0, headerBytes)), frame: bytes.slice(headerBytes) };
  });
}

const asks = (frame: TcpFrame, gsoSize: number): number[] =>
  netHeader({
    flags: 1,
    gsoType: gsoSize === 0 ? 0 : frame.version === 4 ? 1 : 4,
    gsoSize,
    csumStart: tcpStart(frame),
    csumOffset: 16,
  });

describe.each([false, true])('between two ports (packed rings: %s)', (packed) => {
  it.each<[string, bigint, 'whole' | 'partial' | 'complete']>([
    ['all offloads', TAKES_ALL, 'whole'],
    ['checksums', MODERN | f.VIRTIO_NET_F_GUEST_CSUM, 'partial'],
    ['nothing', MODERN, 'complete'],
    ['segments, which need checksums', MODERN | GUEST_TSO, 'complete'],
    ['ECN, which needs segments', MODERN | f.VIRTIO_NET_F_GUEST_CSUM | f.VIRTIO_NET_F_GUEST_ECN, 'partial'],
  ])('a packet for many segments is right for a driver that takes %s', async (_, features, what) => {
    const [from, to] = [
      await port('a', SENDS_ALL, PORT_OFFLOADS, packed),
      await port('b', features, PORT_OFFLOADS, packed),
    ];
    for (const frame of [four, six]) {
      send(from, asks(frame, 800), bytesOf(frame, 'partial'));
      const got = move(from, to);
      if (what === 'whole') {
        expect(got).toMatchObject([{ header: { flags: 1, gsoSize: 800 }, frame: bytesOf(frame, 'partial') }]);
        continue;
      }
      expect(got.map(({ frame }) => frame)).toEqual(segmentsOf(frame, 800).map((one) => bytesOf(one, what)));
      for (const { header } of got) expect(header).toMatchObject({ flags: what === 'partial' ? 1 : 0, gsoType: 0 });
    }
    const cut = what === 'whole' ? 0 : 6;
    expect(to.pair.counters()).toMatchObject({ out_softwareSegments: cut, out_badOffload: 0, out_packets: cut || 2 });
  });

  it.each<[string, bigint, boolean]>([
    ['takes', MODERN | f.VIRTIO_NET_F_GUEST_CSUM, true],
    ['does not take', MODERN, false],
  ])('a partial checksum is right for a driver that %s one', async (_, features, isTaken) => {
    const [from, to] = [
      await port('a', SENDS_ALL, PORT_OFFLOADS, packed),
      await port('b', features, PORT_OFFLOADS, packed),
    ];
    send(from, asks(four, 0), bytesOf(four, 'partial'));
    const [got] = move(from, to);
    expect(got!.frame).toEqual(bytesOf(four, isTaken ? 'partial' : 'complete'));
    expect(got!.header.flags).toBe(isTaken ? 1 : 0);
    expect(to.pair.counters()).toMatchObject({ out_softwareChecksums: isTaken ? 0 : 1 });
  });
});

it('ignores the headers of a driver that has negotiated no offloads', async () => {
  const [from, to] = [await port('a', MODERN), await port('b', TAKES_ALL)];
  send(from, asks(four, 800), bytesOf(four, 'partial'));
  expect(move(from, to)).toMatchObject([{ header: { flags: 0, gsoType: 0 }, frame: bytesOf(four, 'partial') }]);
});

it('counts what was not negotiated, or depends on what was not', async () => {
  const [from, to] = [await port('a', MODERN | f.VIRTIO_NET_F_CSUM), await port('b', TAKES_ALL)];
  const tso = await port('c', MODERN | HOST_TSO);
  for (const one of [from, tso]) send(one, asks(four, 800), bytesOf(four, 'partial'));
  expect(move(from, to)).toEqual([]);
  expect(from.pair.counters()).toMatchObject({ in_badOffload: 1, in_packets: 0 });
  // Segmentation without checksums counts for nothing, so its header is not read.
  expect(move(tso, to)).toMatchObject([{ header: { flags: 0, gsoType: 0 } }]);
});

it('reads and writes the header of 10 bytes of legacy drivers', async () => {
  const legacy = (SENDS_ALL | TAKES_ALL) & ~MODERN;
  const [from, to] = [await port('a', legacy), await port('b', legacy)];
  send(from, asks(four, 800).slice(0, 10), bytesOf(four, 'partial'));
  expect(move(from, to, 10)).toMatchObject([
    { header: { flags: 1, gsoType: 1, gsoSize: 800, csumStart: 34, csumOffset: 16 }, frame: bytesOf(four, 'partial') },
  ]);
});

it('refuses features that a port is limited not to offer', async () => {
  const { frontend } = await port('a', MODERN, OFFLOAD_CSUM);
  frontend.tell(R.SET_FEATURES, p.encodeU64(MODERN | PROTOCOL | f.VIRTIO_NET_F_CSUM | f.VIRTIO_NET_F_HOST_TSO4));
  await until('the end of the connection', () => frontend.hungUp !== null);
});

it('finishes packets for one driver after the other, and closes with them under way', async () => {
  const [from, to] = [await port('a', SENDS_ALL), await port('b', MODERN)];
  for (let i = 0; i < 3; i++) {
    send(from, asks(six, 1000), bytesOf(six, 'partial'));
    expect(move(from, to)).toHaveLength(2);
  }
  await to.backend.close();
  expect(from.pair.take(burst, MAX_BURST)).toBe(0);
});
