/** The vhost-user backend with DPDK's virtio-user driver as its peer. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Reactor } from '../../drivers/libc/index.js';
import { WindowAllocator, type WindowRange } from '../../drivers/memory/index.js';
import { VhostUserBackend } from '../../drivers/transports/vhost-user/backend.js';
import { MAX_BURST, PacketBurst } from '../../drivers/virtio/device/packet-burst.js';
import { Testpmd, type TestpmdOptions } from '../../scripts/testpmd.js';
import { describeWith, testpmd } from '../support/requirements.js';
import { until } from '../support/until.js';

const ALL = Uint8Array.from({ length: MAX_BURST }, (_, i) => i);
const BUFFER = 10_240;

/** Lengths of frames that testpmd's buffers of 2 KiB hold: even and odd, with the shortest and a full-sized one. */
const LENGTHS = [60, 61, 62, 63, 64, 65, 127, 128, 255, 256, 257, 511, 1000, 1499, 1513, 1514];

/**
 * Lengths of frames with Ethernet header, for an MTU: those above that the MTU allows, and the longest that it allows.
 */
const lengthsFor = (mtu: number): number[] => [
  ...LENGTHS.filter((length) => length < mtu + 12),
  ...[1, 2, 3, 4].map((n) => ((mtu * n) >> 2) + 13),
  mtu + 14,
];

const SCATTER = ['--rx-offloads=0x2000', '--enable-scatter'];
const SMALL_BUFFERS = ['--mbuf-size=512', ...SCATTER];
const JUMBO = '--max-pkt-len=9018';

/** With statistics each second, testpmd would end a second later. */
const ECHO = { forward: 'macswap', onDemand: true } as const;

/**
 * Every layout with mergeable buffers or without, in order or not, and of each size; and each MTU where the others make
 * a difference.
 */
const MATRIX: [string, TestpmdOptions, number][] = [0, 1].flatMap((packed) =>
  [1, 0].flatMap((mergeable) => {
    const name = `${packed ? 'packed' : 'split'} rings, ${mergeable ? 'mergeable' : 'plain'} buffers`;
    const device = (inOrder: number, size: number): string =>
      `packed_vq=${packed},mrg_rxbuf=${mergeable},in_order=${inOrder},queue_size=${size}`;
    const sizes = [1, 0].flatMap((inOrder) =>
      [64, 256, 1024, 4096].map((size): [string, TestpmdOptions, number] => {
        const args = ['--total-num-mbufs=16384', `--rxd=${size}`, `--txd=${size}`];
        const title = `${name}, in_order=${inOrder}, ${size} entries`;
        return [title, { ...ECHO, device: device(inOrder, size), args }, 1500];
      }),
    );
    const mtus = [64, 9000].map((mtu): [string, TestpmdOptions, number] => {
      // If buffers are not merged, one buffer has to hold a whole frame.
      const args = mtu < 9000 ? [] : mergeable ? [JUMBO, ...SCATTER] : [JUMBO, '--mbuf-size=9728'];
      return [`${name}, an MTU of ${mtu}`, { ...ECHO, device: device(1, 256), args }, mtu];
    });
    return [...sizes, ...mtus];
  }),
);

describeWith('vhost-user backend and DPDK virtio-user', [testpmd], () => {
  let folder: string;
  let socket: string;
  let reactor: Reactor;
  let windows: WindowAllocator;
  let staging: WindowRange;
  let out: PacketBurst;
  let backend: VhostUserBackend;
  let peer: Testpmd | null;
  let links: string[];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tspmd-'));
    socket = join(folder, 'port.sock');
    reactor = new Reactor();
    windows = new WindowAllocator();
    staging = windows.allocate(MAX_BURST * BUFFER);
    out = new PacketBurst(staging.window);
    peer = null;
    links = [];
  });

  afterEach(async () => {
    await peer?.quit();
    backend.close();
    reactor.close();
    rmSync(folder, { recursive: true, force: true });
  });

  function listen(queuePairs = 1): void {
    backend = new VhostUserBackend({ path: socket, reactor, windows, queuePairs });
    backend.onLink = (state) => links.push(state);
  }

  async function connect(options: TestpmdOptions): Promise<Testpmd> {
    peer = Testpmd.frontend(socket, options);
    await peer.started();
    await until('both queues started', () => backend.pairs.every((pair) => pair.txQueue && pair.rxQueue));
    return peer;
  }

  /** Fills `out` with numbered frames of these lengths; returns the frames that macswap must send back. */
  function frames(lengths: readonly number[]): string[] {
    const { u8 } = staging.window;
    out.clear();
    return lengths.map((length, i) => {
      const at = staging.offset + i * BUFFER + 62;
      for (let b = 0; b < length; b++) u8[at + b] = (b * 7 + i * 31 + length) & 0xff;
      u8.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0], at);
      out.push(at, length);
      const swapped = Buffer.from(u8.slice(at, at + length));
      swapped[5] = 2;
      swapped[11] = 1;
      return swapped.toString('hex');
    });
  }

  function contents(burst: PacketBurst, into: string[]): void {
    for (let i = 0; i < burst.count; i++) {
      const parts: Uint8Array[] = [];
      for (let s = burst.firstSegment[i]!; s < burst.firstSegment[i + 1]!; s++) {
        const at = burst.segmentOffset[s]!;
        parts.push(burst.memory.u8.slice(at, at + burst.segmentLength[s]!));
      }
      into.push(Buffer.concat(parts).toString('hex'));
    }
  }

  it.each([
    ['split', 'packed_vq=0'],
    ['packed', 'packed_vq=1'],
  ])('takes every frame that txonly says it sent (%s rings)', async (_, device) => {
    listen();
    const burst = new PacketBurst(staging.window);
    const pair = backend.pairs[0]!;
    let taken = 0;
    const drain = (): void => {
      while (pair.take(burst, MAX_BURST) > 0) {
        taken += burst.count;
        pair.complete();
      }
    };
    const sender = await connect({ forward: 'txonly', device, args: ['--txpkts=64,100,37'] });
    await until('10000 frames', () => taken >= 10_000, drain);
    const counting = setInterval(drain, 0);
    const totals = await sender.stop();
    await until('the end of the connection', () => !backend.connected, drain);
    clearInterval(counting);
    const counters = pair.counters();
    expect(counters.in_packets).toBe(taken);
    expect(counters.in_bytes).toBe(taken * 201);
    // Frames that were still in the ring when testpmd stopped are in testpmd's total and not in ours.
    expect(totals.txPackets - taken).toBeGreaterThanOrEqual(0);
    expect(totals.txPackets - taken).toBeLessThanOrEqual(256);
  });

  it.each<[string, TestpmdOptions, number]>([
    ...MATRIX,
    ['two queue pairs', { forward: 'macswap', queues: 2 }, 1500],
    ['split rings, small mergeable buffers', { forward: 'macswap', args: SMALL_BUFFERS }, 1500],
    ['packed rings, small mergeable buffers', { forward: 'macswap', device: 'packed_vq=1', args: SMALL_BUFFERS }, 1500],
  ])('gives and gets back all frames unchanged: %s', async (_, options, mtu) => {
    listen(options.queues);
    await connect(options);
    const burst = new PacketBurst(staging.window);
    const lengths = lengthsFor(mtu);
    for (const pair of backend.pairs) {
      // More than once round a ring of 256.
      for (let round = 0; round < 40; round++) {
        const sent = frames(lengths);
        const back: string[] = [];
        expect(pair.put(out, ALL, out.count)).toBe(lengths.length);
        await until(
          'all frames back',
          () => back.length >= sent.length,
          () => {
            if (pair.take(burst, MAX_BURST) > 0) contents(burst, back);
            pair.complete();
          },
        );
        expect(back).toEqual(sent);
      }
    }
  });

  it.each([
    ['split', 'packed_vq=0'],
    ['packed', 'packed_vq=1'],
  ])('is woken only by kicks (%s rings)', async (_, device) => {
    listen();
    const pair = backend.pairs[0]!;
    const burst = new PacketBurst(staging.window);
    const back: string[] = [];
    const sleepOrTake = (): void => {
      while (!pair.enableKick()) {
        if (pair.take(burst, MAX_BURST) > 0) contents(burst, back);
        pair.complete();
      }
    };
    pair.onKick = sleepOrTake;
    sleepOrTake();
    await connect({ forward: 'macswap', device });
    for (let round = 1; round <= 3; round++) {
      const sent = frames(LENGTHS);
      expect(pair.put(out, ALL, out.count)).toBe(LENGTHS.length);
      await until(`round ${round}`, () => back.length >= round * sent.length);
      expect(back.slice(-sent.length)).toEqual(sent);
    }
  });

  it('serves one peer after the other, and removes its socket', async () => {
    listen();
    const first = await connect({ forward: 'rxonly' });
    frames(LENGTHS);
    expect(backend.pairs[0]!.put(out, ALL, out.count)).toBe(LENGTHS.length);
    await first.stop();
    await until('the end of the connection', () => !backend.connected);
    expect(backend.pairs[0]!.put(out, ALL, out.count)).toBe(0);
    await connect({ forward: 'rxonly' });
    expect(backend.pairs[0]!.put(out, ALL, out.count)).toBe(LENGTHS.length);
    expect(links).toEqual(['up', 'down', 'up']);
    expect(backend.pairs[0]!.counters().out_noDriver).toBe(LENGTHS.length);
    backend.close();
    expect(existsSync(socket)).toBe(false);
  });
});
