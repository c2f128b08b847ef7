/** The vhost-user backend against DPDK's virtio-user driver. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Reactor } from '../../drivers/libc/index.js';
import { WindowAllocator, type WindowRange } from '../../drivers/memory/index.js';
import { VhostUserBackend } from '../../drivers/transports/vhost-user/backend.js';
import { MAX_BURST, PacketBurst } from '../../drivers/virtio/packet-burst.js';
import { Testpmd, type TestpmdOptions } from '../../scripts/testpmd.js';
import { describeWith, testpmd } from '../support/requirements.js';
import { until } from '../support/until.js';

const ALL = Uint8Array.from({ length: MAX_BURST }, (_, i) => i);
const BUFFER = 2048;

/** Lengths of frames that testpmd's buffers of 2 KiB hold; even and odd, with a minimum and a full-sized one. */
const LENGTHS = [60, 61, 62, 63, 64, 65, 127, 128, 255, 256, 257, 511, 1000, 1499, 1513, 1514];

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
    await peer?.child.stop();
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

  /** Fills `out` with numbered frames of these lengths; returns them as they are to come back from macswap. */
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
    // Frames that were still in the ring when testpmd stopped are in its total and not in ours.
    expect(totals.txPackets - taken).toBeGreaterThanOrEqual(0);
    expect(totals.txPackets - taken).toBeLessThanOrEqual(256);
  });

  it.each([
    ['mergeable buffers', { forward: 'macswap' }],
    ['plain buffers', { forward: 'macswap', device: 'mrg_rxbuf=0' }],
    ['packed rings', { forward: 'macswap', device: 'packed_vq=1' }],
    ['packed rings, plain buffers', { forward: 'macswap', device: 'packed_vq=1,mrg_rxbuf=0' }],
    ['packed rings, in order', { forward: 'macswap', device: 'packed_vq=1,mrg_rxbuf=0,in_order=1' }],
    ['two queue pairs', { forward: 'macswap', queues: 2 }],
    [
      'small mergeable buffers',
      { forward: 'macswap', args: ['--mbuf-size=512', '--rx-offloads=0x2000', '--enable-scatter'] },
    ],
    [
      'packed rings, small mergeable buffers',
      {
        forward: 'macswap',
        device: 'packed_vq=1',
        args: ['--mbuf-size=512', '--rx-offloads=0x2000', '--enable-scatter'],
      },
    ],
  ] as const)('gives and gets back all frames unchanged: %s', async (_, options) => {
    listen('queues' in options ? options.queues : 1);
    await connect(options);
    const burst = new PacketBurst(staging.window);
    for (const pair of backend.pairs) {
      // More than once round a ring of 256.
      for (let round = 0; round < 40; round++) {
        const sent = frames(LENGTHS);
        const back: string[] = [];
        expect(pair.put(out, ALL, out.count)).toBe(LENGTHS.length);
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
  ])('is woken by kicks alone (%s rings)', async (_, device) => {
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
