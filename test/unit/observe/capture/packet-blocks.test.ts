/** The packets of a pcapng file, read back as the draft describes them (4.3): one block after the other, all of it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CapturedPacket, PacketBlocks } from '../../../../observe/capture/packet-blocks.js';
import { DIRECTION_IN, DIRECTION_OUT } from '../../../../observe/capture/sink.js';

const NONE = Buffer.alloc(0);

function packetOf(fields: Partial<CapturedPacket> = {}): CapturedPacket {
  const u8 = fields.u8 ?? Uint8Array.of(9, 9, 1, 2, 3, 4, 5, 9);
  const time = { seconds: 1_700_000_000, nanoseconds: 5 };
  return {
    ...{ interface: 0, time, direction: DIRECTION_IN, u8, at: 2, kept: 5, length: 5, comment: NONE },
    ...fields,
  };
}

/** Reads blocks, and demands that nothing but them is there. */
function parse(bytes: Buffer) {
  const found = [];
  let at = 0;
  while (at < bytes.length) {
    const length = bytes.readUInt32LE(at + 4);
    const block = bytes.subarray(at, at + length);
    expect(block.length).toBe(length);
    expect([block.readUInt32LE(0), length % 4, block.readUInt32LE(length - 4)]).toEqual([6, 0, length]);
    const kept = block.readUInt32LE(20);
    const options: { code: number; value: Buffer }[] = [];
    let next = 28 + Math.ceil(kept / 4) * 4;
    const padding = [...block.subarray(28 + kept, next)];
    while (block.readUInt16LE(next) !== 0) {
      const size = block.readUInt16LE(next + 2);
      const value = block.subarray(next + 4, next + 4 + size);
      options.push({ code: block.readUInt16LE(next), value });
      const end = next + 4 + Math.ceil(size / 4) * 4;
      padding.push(...block.subarray(next + 4 + size, end));
      next = end;
    }
    expect([block.readUInt32LE(next), next + 8]).toEqual([0, length]);
    expect(padding.every((byte) => byte === 0)).toBe(true);
    const flags = options.find(({ code }) => code === 2)!.value;
    found.push({
      interface: block.readUInt32LE(8),
      time: (BigInt(block.readUInt32LE(12)) << 32n) | BigInt(block.readUInt32LE(16)),
      ...{ length: block.readUInt32LE(24), bytes: block.subarray(28, 28 + kept), flags: flags.readUInt32LE(0) },
      comments: options.filter(({ code }) => code === 1).map(({ value }) => value.toString('utf8')),
    });
    expect(flags.length).toBe(4);
    at += length;
  }
  return found;
}

describe('blocks of packets', () => {
  it('have the bytes, the length, the interface and the direction of each packet', () => {
    const blocks = new PacketBlocks();
    expect(blocks.isEmpty).toBe(true);
    blocks.add(packetOf({ interface: 3, length: 1514 }));
    blocks.add(packetOf({ direction: DIRECTION_OUT, kept: 0, length: 77 }));
    expect([blocks.isEmpty, blocks.isFull]).toEqual([false, false]);
    const [first, second, ...others] = parse(blocks.take());
    expect(first).toMatchObject({ interface: 3, length: 1514, flags: 1, comments: [] });
    expect([...first!.bytes]).toEqual([1, 2, 3, 4, 5]);
    expect(second).toMatchObject({ interface: 0, length: 77, flags: 2, bytes: NONE });
    expect([others, blocks.isEmpty, blocks.take().length]).toEqual([[], true, 0]);
  });

  it('have times in ns of 64 bits', () => {
    const seconds = fc.oneof(fc.nat(2 ** 31 - 1), fc.integer({ min: 0, max: 18_446_744_072 }));
    fc.assert(
      fc.property(seconds, fc.integer({ min: 0, max: 999_999_999 }), (whole, nanoseconds) => {
        const blocks = new PacketBlocks();
        blocks.add(packetOf({ time: { seconds: whole, nanoseconds } }));
        expect(parse(blocks.take())[0]!.time).toBe(BigInt(whole) * 1_000_000_000n + BigInt(nanoseconds));
      }),
      { numRuns: 500 },
    );
  });

  it('have zeros after packets and comments of any length, whatever lay there before', () => {
    const blocks = new PacketBlocks();
    const u8 = new Uint8Array(40).fill(0xff);
    const all: [number, string][] = [];
    for (let kept = 0; kept < 9; kept++) for (const text of ['', 'a', 'äö', 'why?', 'no 5!']) all.push([kept, text]);
    for (const [kept, text] of all) {
      blocks.add(packetOf({ u8, at: 7, kept, length: kept, comment: Buffer.from(text) }));
    }
    const found = parse(blocks.take());
    expect(found.map(({ bytes, comments }) => [bytes.length, comments[0] ?? ''])).toEqual(all);
    expect(found.every(({ bytes }) => bytes.every((byte) => byte === 0xff))).toBe(true);
  });

  it('fill a piece until it is full, which always has room for one more of the longest', () => {
    const blocks = new PacketBlocks();
    const u8 = Uint8Array.from({ length: 70_000 }, (_, i) => i % 251);
    const longest = { u8, at: 3, kept: 65_600, length: 70_000, comment: Buffer.alloc(4096, 'x') };
    for (let pieces = 0; pieces < 3; pieces++) {
      let added = 0;
      for (; !blocks.isFull; added++) blocks.add(packetOf(longest));
      const piece = blocks.take();
      expect([added, blocks.isFull, blocks.isEmpty]).toEqual([4, false, true]);
      const found = parse(piece);
      expect(found.map(({ bytes, comments }) => [bytes.length, comments[0]!.length])).toEqual(
        Array.from({ length: 4 }, () => [65_600, 4096]),
      );
      expect(Buffer.compare(found[3]!.bytes, u8.subarray(3, 65_603))).toBe(0);
    }
  });

  it('leave a piece alone that was taken', () => {
    const blocks = new PacketBlocks();
    blocks.add(packetOf());
    const taken = blocks.take();
    const copy = Buffer.from(taken);
    blocks.add(packetOf({ u8: new Uint8Array(20), kept: 18 }));
    expect(Buffer.compare(taken, copy)).toBe(0);
  });
});
