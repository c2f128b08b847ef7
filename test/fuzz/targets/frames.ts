/**
 * Received frames through the layer's admission (filter, ARP, neighbours) and the flow hash. Each case runs twice, with
 * other bytes behind the frames: an outcome that differs has read what the length does not cover.
 */
import { BufferPool, FRAME_OFFSET, frameCapacity, NO_BUFFER } from '../../../rings/buffer-pool.js';
import { NeighbourTable } from '../../../rings/neighbour-table.js';
import { PacketTable } from '../../../rings/packet-table.js';
import { createL2Counters, L2_COUNTERS } from '../../../src/counters.js';
import { TxBurst } from '../../../src/link/bursts/tx-burst.js';
import { LinkLayer } from '../../../src/link/link-layer.js';
import { IndirectionTable } from '../../../src/rss/indirection-table.js';
import { Rss } from '../../../src/rss/rss.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const BUFFERS = 8;
const SHIFT = 10;
/** Longest frame that a buffer holds. */
const CAPACITY = frameCapacity(SHIFT);
const NEIGHBOURS = 4;
/** Of the neighbour table; the same in each case, or one could not be run again. */
const KEY = 1;
const MAX_FRAMES = 6;
const OUR_IP = 0x0a000001;
const OUR_MAC = [0x52, 0x54, 0, 0, 0, 1];
const MACS = [OUR_MAC, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [0x52, 0x54, 0, 0, 0, 2], [1, 0, 0x5e, 0, 0, 1]];
/** Configured neighbours. */
const STATIC = new Map([[0x0a000003, Uint8Array.of(0x52, 0x54, 0, 0, 0, 3)]]);
const IPS = [OUR_IP, 0x0a000002, 0x0a000003, 0x0a0000ff, 0xffffffff, 0xe0000001, 0, 0x7f000001, 0x0b000001];
const TYPES = [0x0800, 0x0806, 0x8100, 0x88a8, 0x86dd, 0x0026, 0x1234];
const RX_COUNTERS = L2_COUNTERS.map((name, i) => (/^rx_(arp|drop_)/.test(name) ? i : -1)).filter((i) => i >= 0);

export const frames: FuzzTarget = {
  name: 'frames',
  summary: 'received frames through filter, ARP, neighbours and flow hash: nothing read behind them, each counted once',
  maxBytes: 384,
  prepare(feedback) {
    const base = 128;
    const buffer = new SharedArrayBuffer(base + (BUFFERS << SHIFT));
    const memory = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
    const table = new SharedArrayBuffer(NeighbourTable.bytesFor(NEIGHBOURS));
    const tableWords = new Int32Array(table);
    const counters = createL2Counters();
    const rss = [
      new Rss(memory, {}, IndirectionTable.create(4)),
      new Rss(memory, { symmetric: false }, IndirectionTable.create(4)),
    ];
    const built = Array.from({ length: MAX_FRAMES }, () => new Uint8Array(1024));
    const lengths = new Array<number>(MAX_FRAMES).fill(0);
    const waits = new Uint16Array(MAX_FRAMES);
    const outcome = [new Int32Array(4096), new Int32Array(4096)];

    /** Feeds the frames, over memory full of `poison`; writes what happened into `log`, returns how much. */
    const feed = (count: number, flags: number, poison: number, log: Int32Array): number => {
      tableWords.fill(0);
      counters.values.fill(0);
      let n = 0;
      const pool = new BufferPool({ count: BUFFERS, shift: SHIFT, base });
      let held: number[] = [];
      const packets = new PacketTable(BUFFERS);
      const sink = {
        memory,
        pool,
        table: packets,
        isUp: true,
        txBurst: (handles: Uint32Array, frameLengths: Uint32Array, frameCount: number) => {
          for (let i = 0; i < frameCount; i++) {
            const at = pool.offsetOf(handles[i]!) + FRAME_OFFSET;
            check(frameLengths[i] === 42, `a frame of ${frameLengths[i]} bytes is sent`);
            for (let b = 0; b < 42; b++) log[n++] = memory.u8[at + b]!;
            held.push(handles[i]!);
          }
          return frameCount;
        },
      };
      const reclaimTx = (): void => {
        for (const handle of held) pool.put(handle);
        held = [];
      };
      let now = 0;
      const tx = new TxBurst(sink, counters);
      const medium = { memory, pool, table: packets, offloads: 0, mac: Uint8Array.from(OUR_MAC), reclaimTx };
      const options = {
        address: OUR_IP,
        prefixLength: 24,
        neighbours: STATIC,
        acceptBroadcast: (flags & 1) !== 0,
        acceptMulticast: (flags & 2) !== 0,
        layer: (flags & 12) === 12 ? ('ethernet' as const) : ('ip' as const),
      };
      const neighbourTable = new NeighbourTable(table, 0, NEIGHBOURS, KEY);
      const link = new LinkLayer(medium, SHIFT, tx, counters, () => now, options, neighbourTable);
      let delivered = 0;
      for (let i = 0; i < count; i++) {
        if (pool.available === 0) reclaimTx();
        const handle = pool.get();
        check(handle !== NO_BUFFER, 'buffers are lost');
        const at = pool.offsetOf(handle) + FRAME_OFFSET;
        const length = lengths[i]!;
        memory.u32.fill(poison, (at - FRAME_OFFSET) >>> 2, (at + CAPACITY) >>> 2);
        for (let b = Math.min(length, CAPACITY) - 1; b >= 0; b--) memory.u8[at + b] = built[i]![b]!;
        const sound = length <= CAPACITY ? length : 0;
        log[n++] = rss[0]!.hashFrame(at, sound);
        log[n++] = rss[1]!.hashFrame(at, sound);
        log[n++] = rss[0]!.coreOf(log[n - 2]!);
        const bytes = link.admit(handle, length);
        log[n++] = bytes;
        if (bytes > 0) {
          check(bytes <= length, `${bytes} bytes of a frame of ${length} are delivered`);
          delivered++;
          pool.put(handle);
        }
        now += waits[i]!;
        link.tick(now);
        if ((waits[i]! & 3) === 0 && options.layer === 'ip')
          link.neighbours.resolve((0x0a000000 + (waits[i]! >>> 8)) | 0);
      }
      tx.flush();
      reclaimTx();
      check(pool.available === BUFFERS, `${BUFFERS - pool.available} buffers are lost`);
      let counted = delivered;
      for (const index of RX_COUNTERS) counted += counters.values[index]!;
      check(counted === count, `${count} frames, ${counted} in the counters`);
      check(neighbourTable.count <= NEIGHBOURS, `${neighbourTable.count} neighbours where ${NEIGHBOURS} fit`);
      for (const value of counters.values) log[n++] = value;
      return n;
    };

    const run = (input: Input): void => {
      const flags = input.u8();
      let count = 0;
      while (count < MAX_FRAMES && input.left > 0) {
        lengths[count] = build(input, built[count]!);
        waits[count] = input.u16();
        count++;
      }
      const [first, second] = outcome as [Int32Array, Int32Array];
      const n = feed(count, flags, 0, first);
      check(feed(count, flags, -1, second) === n, 'bytes behind a frame decide what happens');
      for (let i = 0; i < n; i++) check(first[i] === second[i], 'bytes behind a frame decide what happens');
      for (let i = 0; i < L2_COUNTERS.length; i++) {
        const value = first[n - L2_COUNTERS.length + i]!;
        if (value > 0) feedback.mark(i * 16 + Math.min(value, 3));
      }
    };
    return { run };
  },
};

/** Makes a frame; returns its length, which may be cut short, or longer than any buffer. */
function build(input: Input, to: Uint8Array): number {
  to.fill(0);
  const shape = input.u8();
  let at = 0;
  const put = (...bytes: readonly number[]): void => {
    for (const byte of bytes) to[at++] = byte;
  };
  const word = (value: number): void => put(value >>> 8, value & 0xff);
  const address = (value: number): void => put(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
  const target = input.u8();
  put(...MACS[target & 3]!, ...MACS[(target >>> 2) & 3]!);
  let type = TYPES[input.below(TYPES.length)]!;
  for (let tags = 0; tags < 3 && (type === 0x8100 || type === 0x88a8); tags++) {
    word(type);
    word(input.u8());
    type = TYPES[input.below(TYPES.length)]!;
  }
  word(type);
  if (type === 0x0806) {
    put(0, 1, 8, 0, 6, 4);
    word(1 + (input.u8() & 3));
    const who = input.u8();
    put(...MACS[who & 3]!);
    address(IPS[(who >>> 2) % IPS.length]!);
    put(...MACS[who >>> 6]!);
    address(IPS[input.below(IPS.length)]!);
  } else if (type === 0x0800) {
    const header = at;
    const words = (shape & 1) === 0 ? 5 : input.u8() & 15;
    const protocol = [6, 17, 1, 0][input.below(4)]!;
    put((4 << 4) | words, 0, 0, 0, 0, 0, (shape & 2) === 0 ? 0 : input.u8(), 0, 64, protocol, 0, 0);
    address(IPS[input.below(IPS.length)]!);
    address(IPS[input.below(IPS.length)]!);
    if (protocol === 1) {
      // An ICMP message, which may be an error that quotes a packet.
      at = header + 4 * words;
      put([0, 3, 5, 8, 11, 12][input.below(6)]!, 0, 0, 0, 0, 0, 0, 0);
      put(0x40 | (5 + (input.u8() & 3)), 0, 0, 40, 0, 0, input.u8(), 0, 64, [6, 17, 1, 0][input.below(4)]!, 0, 0);
      address(IPS[input.below(IPS.length)]!);
      address(IPS[input.below(IPS.length)]!);
    }
    at += input.below(64);
    const total = (shape & 4) === 0 ? at - header : input.u16();
    to[header + 2] = total >>> 8;
    to[header + 3] = total;
  } else if (type === 0x86dd) {
    put(0x60, 0, 0, 0, 0, input.u8(), [0, 6, 17, 43, 44, 60][input.below(6)]!, 64);
    for (let i = 0; i < 32; i++) put(i);
    for (let headers = input.below(12); headers > 0; headers--) {
      put([0, 6, 17, 43, 60, 60][input.below(6)]!, input.below(3), 0, 0, 0, 0, 0, 0);
    }
    at += 8;
  }
  // Bytes of it changed, and its end cut off or moved.
  for (let changes = shape >>> 6; changes > 0; changes--) to[input.u8()] = input.u8();
  if ((shape & 8) !== 0) at = input.u8();
  if ((shape & 0x30) === 0x30) at = input.u16() & 0x3ff;
  return at;
}
