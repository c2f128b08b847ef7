/** Packets of a tap with virtio-net headers, with a socket in place of the tap: what is read, written, dropped, freed. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { abi, addressOf, readTo, writeFrom } from '../../../../drivers/libc/index.js';
import { PacketMemory } from '../../../../drivers/memory/index.js';
import { DROPPED, FAILED, TapChains } from '../../../../drivers/transports/tap-chains.js';
import { BufferPool, FRAME_OFFSET } from '../../../../rings/buffer-pool.js';
import * as table from '../../../../rings/packet-table.js';
import { datagramPair } from '../../../support/libc/datagram-pair.js';

const BUFFERS = 128;
/** Buffers that a read holds: 18 of 3656 bytes hold a header and the longest GSO packet. */
const HELD = 18;
const ROOM = 3656;
const LONGEST = 1518;
const HEADER = 12;
/** Ethernet, IPv4 and TCP headers, in which the TCP header begins at 34. */
const HEADERS = 54;
const TCP_START = 34;

let pair: ReturnType<typeof datagramPair>;
let memory: PacketMemory;
let pool: BufferPool;
let entries: table.PacketTable;
let chains: TapChains;
/** The kernel's end of the tap. */
const kernel = Buffer.from(new SharedArrayBuffer(70_000));

function open(buffers = BUFFERS): void {
  memory = PacketMemory.create(2 * 1024 * 1024, 'never');
  pool = new BufferPool({ count: buffers, shift: 12, base: memory.allocate(buffers << 12, 4096) });
  entries = new table.PacketTable(buffers);
  chains = new TapChains(pair.near, memory, pool, entries, memory.allocate(64, 64), LONGEST);
}

beforeEach(() => {
  pair = datagramPair();
  open();
});

afterEach(() => {
  chains.stop();
  expect(pool.available).toBe(pool.geometry.count);
  memory.dispose();
  pair.close();
});

interface Header {
  flags?: number;
  gsoType?: number;
  gsoSize?: number;
  start?: number;
  offset?: number;
}

/** A TCP segment over IPv4 or IPv6, with `payload` bytes that all differ from those of other places. */
function segment(payload: number, version: 4 | 6 = 4): Buffer {
  const headers = version === 4 ? HEADERS : HEADERS + 20;
  const frame = Buffer.alloc(headers + payload);
  for (let i = headers; i < frame.length; i++) frame[i] = (i * 7 + (i >> 8)) & 0xff;
  frame.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
  if (version === 4) {
    frame.set([0x08, 0x00, 0x45], 12);
    frame[23] = 6;
  } else {
    frame.set([0x86, 0xdd, 0x60], 12);
    frame[20] = 6;
  }
  frame[headers - 8] = 0x50;
  return frame;
}

/** The kernel sends a frame with this header. */
function kernelSends(frame: Uint8Array, { flags = 0, gsoType = 0, gsoSize = 0, start = 0, offset = 0 }: Header = {}) {
  kernel.fill(0, 0, HEADER);
  kernel[0] = flags;
  kernel[1] = gsoType;
  kernel.writeUInt16LE(gsoSize, 4);
  kernel.writeUInt16LE(start, 6);
  kernel.writeUInt16LE(offset, 8);
  kernel.set(frame, HEADER);
  expect(writeFrom(pair.far, addressOf(kernel), HEADER + frame.length)).toBe(HEADER + frame.length);
}

/** What the kernel gets: the header in hex, and the frame. */
function kernelGets(): { header: string; frame: Buffer } {
  const bytes = readTo(pair.far, addressOf(kernel), kernel.length);
  expect(bytes).toBeGreaterThan(HEADER);
  return { header: kernel.toString('hex', 0, HEADER), frame: Buffer.from(kernel.subarray(HEADER, bytes)) };
}

const entry = (handle: number, word: number): number => entries.words[(handle << table.ENTRY_SHIFT) + word]!;

/** The parts of a packet: handle, where its bytes begin, how many they are. */
function partsOf(handle: number, length: number): { handle: number; start: number; length: number }[] {
  if ((entry(handle, table.FLAGS) & table.CHAIN) === 0) return [{ handle, start: FRAME_OFFSET, length }];
  const parts = [];
  for (let part = handle; part !== table.LAST; part = entry(part, table.NEXT)) {
    parts.push({ handle: part, start: entry(part, table.START), length: entry(part, table.LENGTH) });
  }
  return parts;
}

function bytesOf(handle: number, length: number): Buffer {
  return Buffer.concat(
    partsOf(handle, length).map((part) => {
      const at = pool.offsetOf(part.handle) + part.start;
      return memory.u8.slice(at, at + part.length);
    }),
  );
}

/** Reads a packet that must come, and gives its buffers back. */
function read(): { frame: Buffer; flags: number; parts: number; words: number[] } {
  const handle = chains.read();
  expect(handle).toBeGreaterThanOrEqual(0);
  const frame = bytesOf(handle, chains.length);
  expect(frame.length).toBe(chains.total);
  const words = [table.GSO_SIZE, table.CSUM_START, table.CSUM_OFFSET].map((word) => entry(handle, word));
  const flags = entry(handle, table.FLAGS);
  const parts = partsOf(handle, chains.length);
  expect(new Set(parts.map((part) => part.handle)).size).toBe(parts.length);
  entries.free(handle, pool);
  return { frame, flags, parts: parts.length, words };
}

const GSO4: Header = { flags: 1, gsoType: 1, gsoSize: 1448, start: TCP_START, offset: 16 };

describe('reading', () => {
  it('takes a plain frame as it is', () => {
    for (const size of [14, 15, 60, 1514, LONGEST]) {
      const frame = segment(1500).subarray(0, size);
      kernelSends(frame);
      expect(read()).toMatchObject({ frame: Buffer.from(frame), flags: 0, parts: 1 });
    }
    expect(pool.available).toBe(BUFFERS - HELD);
  });

  it('knows a checksum that is partial, or that was checked', () => {
    kernelSends(segment(100), { flags: 1, start: TCP_START, offset: 16 });
    expect(read()).toMatchObject({ flags: table.CHECKSUM_PARTIAL, words: [0, TCP_START, 16] });
    kernelSends(segment(100), { flags: 2 });
    expect(read().flags).toBe(table.CHECKSUM_VERIFIED);
  });

  it.each([
    [1, 4, table.GSO_TCP4],
    [4, 6, table.GSO_TCP6],
    [0x81, 4, table.GSO_TCP4 | table.GSO_ECN],
    [0x84, 6, table.GSO_TCP6 | table.GSO_ECN],
  ] as const)('takes a GSO packet of type %i in as many buffers as it needs', (gsoType, version, kind) => {
    const start = version === 4 ? TCP_START : TCP_START + 20;
    const first = ROOM - HEADER;
    const whole = (n: number): number => first + n * ROOM;
    const sizes = [2000, first - 1, first, first + 1, whole(1), whole(1) + 1, 30_000, whole(16), 65_535 + 14];
    for (const size of sizes) {
      const frame = segment(size - start - 20, version);
      kernelSends(frame, { ...GSO4, gsoType, start });
      const got = read();
      const chain = size > first ? table.CHAIN : 0;
      expect(got).toMatchObject({ flags: table.CHECKSUM_PARTIAL | kind | chain, words: [1448, start, 16] });
      expect(got.parts).toBe(Math.ceil((HEADER + size) / ROOM));
      expect(got.frame.equals(frame)).toBe(true);
    }
  });

  it('lets each part begin where the header of a packet would be', () => {
    kernelSends(segment(10_000), GSO4);
    const handle = chains.read();
    expect(partsOf(handle, chains.length).map(({ start, length }) => [start, length])).toEqual([
      [FRAME_OFFSET, ROOM - HEADER],
      [FRAME_OFFSET - HEADER, ROOM],
      [FRAME_OFFSET - HEADER, HEADERS + 10_000 + HEADER - 2 * ROOM],
    ]);
    expect(entry(handle, table.TOTAL)).toBe(HEADERS + 10_000);
    entries.free(handle, pool);
  });

  // The kernel does not lie; but the table must never say what is not so.
  it.each<[string, Header, number]>([
    ['a segmented packet without a partial checksum', { ...GSO4, flags: 0 }, 3000],
    ['a gso_size of 0', { ...GSO4, gsoSize: 0 }, 3000],
    ['a gso_size beyond the packet', { ...GSO4, gsoSize: 3100 }, 3000],
    ['an unknown gso_type', { ...GSO4, gsoType: 3 }, 3000],
    ['a gso_type of the other IP version', { ...GSO4, gsoType: 4 }, 3000],
    ['a csum_start beyond the packet', { flags: 1, start: 1500, offset: 16 }, 1000],
    ['a csum_start within the Ethernet header', { flags: 1, start: 13, offset: 16 }, 1000],
    ['a csum_offset beyond the packet', { flags: 1, start: TCP_START, offset: 1019 }, 1000],
    ['segments of a packet that is no TCP', { ...GSO4, start: 18 }, 3000],
    ['a header without payload', GSO4, 0],
  ])('drops and counts %s', (_, header, payload) => {
    kernelSends(segment(payload), header);
    expect(chains.read()).toBe(DROPPED);
    expect(chains.counters()).toMatchObject({ rx_dropped_bad_offload: 1, rx_dropped_too_long: 0 });
    expect(pool.available).toBe(BUFFERS - HELD);
    kernelSends(segment(100));
    expect(read().frame).toEqual(segment(100));
  });

  it('drops and counts a frame too short, or longer than the MTU without being GSO', () => {
    kernelSends(segment(100).subarray(0, 13));
    expect(chains.read()).toBe(DROPPED);
    kernelSends(segment(LONGEST + 1 - HEADERS));
    expect(chains.read()).toBe(DROPPED);
    kernelSends(segment(20_000));
    expect(chains.read()).toBe(DROPPED);
    expect(chains.counters()).toMatchObject({ rx_dropped_bad_length: 1, rx_dropped_too_long: 2 });
  });

  it('says that nothing waits', () => {
    expect(chains.read()).toBe(FAILED);
    expect(chains.errno).toBe(abi.EAGAIN);
  });

  it('drops and counts what finds no buffers, and goes on when there are some', () => {
    kernelSends(segment(100));
    expect(read().parts).toBe(1);
    const taken: number[] = [];
    while (pool.available > 0) taken.push(pool.get());
    // The buffers of the next read are left: they are used up.
    kernelSends(segment(30_000), GSO4);
    const handle = chains.read();
    expect(entries.parts(handle)).toBe(9);
    kernelSends(segment(40_000), GSO4);
    expect(chains.read()).toBe(DROPPED);
    for (let i = 0; i < HELD - 9; i++) {
      kernelSends(segment(i));
      const last = chains.read();
      expect(bytesOf(last, chains.length)).toEqual(segment(i));
      taken.push(last);
    }
    for (let i = 0; i < 2; i++) {
      kernelSends(segment(i));
      expect(chains.read()).toBe(DROPPED);
    }
    expect(chains.counters().rx_dropped_no_buffer).toBe(3);
    for (const each of taken) pool.put(each);
    entries.free(handle, pool);
    kernelSends(segment(60_000), GSO4);
    expect(read().frame.equals(segment(60_000))).toBe(true);
  });

  it('holds at most a quarter of few buffers', () => {
    chains.stop();
    memory.dispose();
    open(16);
    kernelSends(segment(10_000), GSO4);
    expect(read().parts).toBe(3);
    expect(pool.available).toBe(12);
    kernelSends(segment(20_000), GSO4);
    expect(chains.read()).toBe(DROPPED);
    expect(chains.counters().rx_dropped_too_long).toBe(1);
  });
});

describe('writing', () => {
  /** Puts a frame into buffers of `room` bytes each, with the entry that these words make. */
  function packet(frame: Uint8Array, flags = 0, words: Record<number, number> = {}, room = ROOM - HEADER) {
    const handles = Array.from({ length: Math.max(1, Math.ceil(frame.length / room)) }, () => pool.get());
    for (const [i, handle] of handles.entries()) {
      const part = frame.subarray(i * room, (i + 1) * room);
      const start = i === 0 ? FRAME_OFFSET : FRAME_OFFSET - HEADER;
      memory.u8.fill(0xee, pool.offsetOf(handle), pool.offsetOf(handle) + start);
      memory.u8.set(part, pool.offsetOf(handle) + start);
      const at = handle << table.ENTRY_SHIFT;
      entries.words[at + table.START] = start;
      entries.words[at + table.LENGTH] = part.length;
      entries.words[at + table.NEXT] = handles[i + 1] ?? table.LAST;
    }
    const at = handles[0]! << table.ENTRY_SHIFT;
    entries.words[at] = flags | (handles.length > 1 ? table.CHAIN : 0);
    entries.words[at + table.TOTAL] = frame.length;
    for (const [word, value] of Object.entries(words)) entries.words[at + Number(word)] = value;
    return { handle: handles[0]!, length: Math.min(room, frame.length) };
  }

  const PARTIAL = { [table.CSUM_START]: TCP_START, [table.CSUM_OFFSET]: 16 };
  const GSO = { ...PARTIAL, [table.GSO_SIZE]: 1448 };
  const TSO4 = table.CHECKSUM_PARTIAL | table.GSO_TCP4;

  const write = ({ handle, length }: { handle: number; length: number }): number => chains.write(handle, length);

  it('has a header of zeros before a plain frame, also if its checksum was verified', () => {
    for (const flags of [0, table.CHECKSUM_VERIFIED]) {
      expect(write(packet(segment(100), flags))).toBe(HEADERS + 100);
      expect(kernelGets()).toEqual({ header: '00'.repeat(HEADER), frame: segment(100) });
    }
    expect(pool.available).toBe(BUFFERS);
  });

  it('says where a partial checksum is', () => {
    expect(write(packet(segment(100), table.CHECKSUM_PARTIAL, PARTIAL))).toBe(HEADERS + 100);
    expect(kernelGets()).toEqual({ header: '010000000000220010000000', frame: segment(100) });
  });

  it('writes a GSO packet from its buffers, whatever their sizes', () => {
    for (const [size, room] of [
      [3000, 3644],
      [20_000, 3644],
      [65_535 - 40, 3644],
      [5000, 100],
    ] as const) {
      expect(write(packet(segment(size), TSO4, GSO, room))).toBe(HEADERS + size);
      const { header, frame } = kernelGets();
      expect(header).toBe('01013600a805220010000000');
      expect(frame.equals(segment(size))).toBe(true);
      expect(pool.available).toBe(BUFFERS);
    }
  });

  it('writes a plain frame in several buffers', () => {
    expect(write(packet(segment(1000), 0, {}, 300))).toBe(HEADERS + 1000);
    expect(kernelGets()).toEqual({ header: '00'.repeat(HEADER), frame: segment(1000) });
  });

  it.each<[string, number, Record<number, number>, number]>([
    ['GSO without a partial checksum', table.GSO_TCP4, GSO, 3000],
    ['a segment size of 0', TSO4, { ...GSO, [table.GSO_SIZE]: 0 }, 3000],
    ['the other IP version', table.CHECKSUM_PARTIAL | table.GSO_TCP6, GSO, 3000],
    ['a checksum beyond its first buffer', table.CHECKSUM_PARTIAL, { ...PARTIAL, [table.CSUM_OFFSET]: 2000 }, 1000],
    ['a length that its parts do not have', TSO4, { ...GSO, [table.TOTAL]: 9999 }, 8000],
  ])('drops and counts a packet that asks for %s', (_, flags, words, payload) => {
    expect(write(packet(segment(payload), flags, words))).toBe(0);
    expect(chains.counters().tx_dropped_bad_offload).toBe(1);
    expect(pool.available).toBe(BUFFERS);
    expect(readTo(pair.far, addressOf(kernel), 100)).toBe(-abi.EAGAIN);
  });

  it('drops and counts a packet whose segments would be longer than the MTU', () => {
    expect(write(packet(segment(3000), TSO4, { ...GSO, [table.GSO_SIZE]: 1500 }))).toBe(0);
    expect(chains.counters().tx_dropped_bad_length).toBe(1);
    expect(pool.available).toBe(BUFFERS);
  });

  it('keeps the packet while the kernel has no room, and writes it later', () => {
    let written = 0;
    while (chains.write(...asArguments(packet(segment(3000), TSO4, GSO))) > 0) written++;
    expect(written).toBeGreaterThan(0);
    expect(pool.available).toBe(BUFFERS - 1);
    const last = entries.words.findIndex((word, i) => i % 8 === 0 && word !== 0) >> table.ENTRY_SHIFT;
    for (let i = 0; i < written; i++) kernelGets();
    expect(chains.write(last, HEADERS + 3000)).toBe(HEADERS + 3000);
    expect(kernelGets().frame.equals(segment(3000))).toBe(true);
    expect(pool.available).toBe(BUFFERS);
  });

  const asArguments = ({ handle, length }: { handle: number; length: number }): [number, number] => [handle, length];

  it('frees what the kernel refuses', () => {
    chains = new TapChains(-1, memory, pool, entries, 0, LONGEST);
    expect(write(packet(segment(100)))).toBe(-9 /* EBADF */);
    expect(pool.available).toBe(BUFFERS);
  });
});
