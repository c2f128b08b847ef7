import { beforeEach, describe, expect, it } from 'vitest';
import type { MemoryViews } from '../../../../../drivers/memory/index.js';
import { FRAME_BYTES, RingSize } from '../../../../../drivers/transports/af-packet/layout.js';
import { RxRing } from '../../../../../drivers/transports/af-packet/rx-ring.js';
import { NOWHERE, TxRing } from '../../../../../drivers/transports/af-packet/tx-ring.js';
import { MAX_BURST, PacketBurst } from '../../../../../drivers/virtio/device/packet-burst.js';
import { CHECKSUM_PARTIAL, GSO_TCP4, GSO_TCP6 } from '../../../../../rings/packet-table.js';
import { FakeReceiver, FakeSender, ringMemory, SMALL_RING } from '../../../../support/af-packet/fake-kernel.js';
import { netHeader } from '../../../../support/virtio/net-headers.js';

/** A frame of `length` bytes with the EtherType at its place, and different bytes elsewhere. */
function frame(length: number, type = 0x0800, seed = 0): number[] {
  const bytes = Array.from({ length }, (_, i) => (i * 7 + seed * 31) & 0xff);
  bytes.splice(12, 2, type >>> 8, type & 0xff);
  return bytes;
}

const bytesOf = (burst: PacketBurst, i: number): number[] =>
  Array.from({ length: burst.length[i]! }, (_, at) => burst.byteAt(i, at));
const header = (fields: Parameters<typeof netHeader>[0]): number[] => netHeader(fields).slice(0, 10);

describe('RingSize', () => {
  it('lays frames into blocks of 2 MiB, and none across the end of one', () => {
    const size = new RingSize(3);
    const offsets = [...size.offsets(4096)];
    expect(size.request).toEqual([2 ** 21, 3, FRAME_BYTES, 93]);
    expect(offsets).toHaveLength(93);
    for (const [i, at] of offsets.entries()) {
      const inBlock = (at - 4096) % 2 ** 21;
      expect(inBlock + FRAME_BYTES).toBeLessThanOrEqual(2 ** 21);
      if (i > 0) expect(at - offsets[i - 1]!).toBeGreaterThanOrEqual(FRAME_BYTES);
      expect(at % 16).toBe(0);
    }
  });
});

describe('the receive ring', () => {
  let memory: MemoryViews;
  let kernel: FakeReceiver;
  let ring: RxRing;
  let burst: PacketBurst;

  beforeEach(() => {
    memory = ringMemory();
    kernel = new FakeReceiver(memory);
    ring = new RxRing({ memory, base: 0, size: SMALL_RING });
    burst = new PacketBurst(memory);
  });

  it('hands frames on where they lie, and gives them back when they are done with', () => {
    expect(ring.isReady).toBe(false);
    expect(ring.take(burst, 32)).toBe(0);
    for (const seed of [1, 2, 3]) kernel.receive({ bytes: frame(60 + seed, 0x0800, seed) });
    expect(ring.isReady).toBe(true);
    expect(ring.take(burst, 2)).toBe(2);
    expect([bytesOf(burst, 0), bytesOf(burst, 1)]).toEqual([frame(61, 0x0800, 1), frame(62, 0x0800, 2)]);
    expect(burst.memory).toBe(memory);
    expect(kernel.held).toBe(3);
    ring.complete();
    expect(kernel.held).toBe(1);
    expect(ring.take(burst, 32)).toBe(1);
    ring.complete();
    expect([kernel.held, ring.isReady, ring.packets, ring.bytes]).toEqual([0, false, 3, 61 + 62 + 63]);
  });

  it('goes round, and loses nothing while the kernel waits for frames', () => {
    let seen = 0;
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < SMALL_RING.frames + 2; i++) kernel.receive({ bytes: frame(60, 0x0800, i) });
      expect(kernel.dropped).toBe(2 * (round + 1));
      for (;;) {
        const count = ring.take(burst, MAX_BURST);
        if (count === 0) break;
        for (let i = 0; i < count; i++)
          expect(bytesOf(burst, i)).toEqual(frame(60, 0x0800, seen++ % SMALL_RING.frames));
        ring.complete();
      }
    }
    expect(seen).toBe(5 * SMALL_RING.frames);
  });

  it('reads what the kernel leaves to others', () => {
    const partial = { flags: 1, csumStart: 34, csumOffset: 16 };
    kernel.receive({ bytes: frame(60), header: header(partial) });
    kernel.receive({ bytes: frame(5000), header: header({ ...partial, gsoType: 1, gsoSize: 1448 }) });
    // A tunnel: the packet inside is IPv6.
    kernel.receive({ bytes: frame(5000), header: header({ ...partial, csumStart: 104, gsoType: 4, gsoSize: 1390 }) });
    expect(ring.take(burst, 32)).toBe(3);
    expect([...burst.flags.slice(0, 3)]).toEqual([
      CHECKSUM_PARTIAL,
      CHECKSUM_PARTIAL | GSO_TCP4,
      CHECKSUM_PARTIAL | GSO_TCP6,
    ]);
    expect([...burst.csumStart.slice(0, 3)]).toEqual([34, 34, 104]);
    expect([...burst.gsoSize.slice(1, 3)]).toEqual([1448, 1390]);
  });

  it('puts a VLAN tag back', () => {
    const bytes = frame(60);
    const tagged = (type: number[]): number[] => [...bytes.slice(0, 12), ...type, 0x20, 0x05, ...bytes.slice(12)];
    const partial = header({ flags: 1, csumStart: 34, csumOffset: 6 });
    kernel.receive({ bytes, header: partial, vlan: { tci: 0x2005 } });
    kernel.receive({ bytes, vlan: { tci: 0x2005, tpid: 0x88a8 } });
    expect(ring.take(burst, 32)).toBe(2);
    expect([bytesOf(burst, 0), bytesOf(burst, 1)]).toEqual([tagged([0x81, 0x00]), tagged([0x88, 0xa8])]);
    expect([burst.csumStart[0], ring.bytes]).toEqual([38, 128]);
  });

  it('counts what it drops, and gives it back at once', () => {
    kernel.receive({ bytes: frame(14).slice(0, 13) });
    kernel.receive({ bytes: frame(2000), length: 70_000 });
    kernel.receive({ bytes: frame(65_554) });
    kernel.receive({ bytes: frame(65_550), vlan: { tci: 1 } });
    kernel.receive({ bytes: frame(60), header: header({ flags: 1, csumStart: 59, csumOffset: 16 }) });
    kernel.receive({
      bytes: frame(3000),
      header: header({ flags: 1, csumStart: 34, csumOffset: 6, gsoType: 5, gsoSize: 9 }),
    });
    expect(ring.take(burst, 32)).toBe(0);
    expect(kernel.held).toBe(0);
    const { tooShort, tooLong, badOffload, badUdpGso, packets } = ring;
    expect({ tooShort, tooLong, badOffload, badUdpGso, packets }).toEqual({
      tooShort: 1,
      tooLong: 3,
      badOffload: 1,
      badUdpGso: 1,
      packets: 0,
    });
  });

  it('looks at no more frames than a burst has', () => {
    for (let i = 0; i < 20; i++) kernel.receive({ bytes: [1] });
    expect(ring.take(burst, 8)).toBe(0);
    expect(ring.tooShort).toBe(8);
  });
});

describe('the transmit ring', () => {
  let kernel: FakeSender;
  let ring: TxRing;
  let burst: PacketBurst;

  beforeEach(() => {
    const memory = ringMemory();
    kernel = new FakeSender(memory);
    ring = new TxRing({ memory, base: 0, size: SMALL_RING }, kernel.send);
    const other = new Uint8Array(1 << 17);
    burst = new PacketBurst({ u8: other, u16: new Uint16Array(other.buffer), u32: new Uint32Array(other.buffer) });
  });

  /** Appends a packet in pieces of these lengths, which lie apart. */
  function add(bytes: number[], pieces = [bytes.length]): number {
    const i = burst.count;
    const first = burst.segments;
    burst.push(0, bytes.length);
    let done = 0;
    pieces.forEach((length, s) => {
      const at = i * 4096 + 3 * s + done;
      burst.memory.u8.set(bytes.slice(done, done + length), at);
      burst.segmentOffset[first + s] = at;
      burst.segmentLength[first + s] = length;
      done += length;
    });
    burst.segments = first + pieces.length;
    burst.firstSegment[i + 1] = burst.segments;
    return i;
  }

  it('sends packets of any pieces with one call', () => {
    const all = [frame(60), frame(1514, 0x0800, 1), frame(100, 0x0800, 2)];
    const packets = [add(all[0]!), add(all[1]!, [50, 1464]), add(all[2]!, [1, 33, 66])];
    for (const packet of packets) expect(ring.put(burst, packet, 0, packet)).toBe(true);
    expect([kernel.packets.length, ring.pending]).toEqual([0, 3]);
    expect(ring.submit()).toBe(false);
    expect(kernel.packets.map(({ bytes }) => bytes)).toEqual(all);
    for (const [i, { header: sent }] of kernel.packets.entries()) {
      expect(sent).toEqual(header({ hdrLen: all[i]!.length }));
    }
    expect([kernel.calls, ring.pending, ring.packets, ring.bytes, ring.stoppedAt]).toEqual([1, 0, 3, 1674, NOWHERE]);
    expect(ring.submit()).toBe(false);
    expect(kernel.calls).toBe(1);
  });

  it('says what is left to the kernel', () => {
    const long = frame(5000);
    long[34 + 12] = 0x80;
    const packet = add(long);
    burst.csumStart[packet] = 34;
    burst.csumOffset[packet] = 16;
    burst.gsoSize[packet] = 1448;
    ring.put(burst, packet, CHECKSUM_PARTIAL | GSO_TCP4, 0);
    ring.put(burst, packet, CHECKSUM_PARTIAL, 0);
    ring.submit();
    const partial = { flags: 1, csumStart: 34, csumOffset: 16 };
    expect(kernel.packets.map(({ header: sent }) => sent)).toEqual([
      header({ ...partial, gsoType: 1, gsoSize: 1448, hdrLen: 66 }),
      header(partial),
    ]);
  });

  it('is full while all frames are under way', () => {
    const packet = add(frame(60));
    kernel.verdicts = new Array(SMALL_RING.frames).fill('sending');
    for (let i = 0; i < SMALL_RING.frames; i++) expect(ring.put(burst, packet, 0, 0)).toBe(true);
    expect(ring.put(burst, packet, 0, 0)).toBe(false);
    expect(ring.submit()).toBe(false);
    expect(ring.put(burst, packet, 0, 0)).toBe(false);
    kernel.finish();
    expect(ring.put(burst, packet, 0, 0)).toBe(true);
    ring.submit();
    expect(ring.packets).toBe(SMALL_RING.frames + 1);
  });

  it.each([
    ['an errno', 105, false],
    ['a malformed packet', 'malformed', true],
  ] as const)('takes back what is not sent after %s, and goes on there', (_, verdict, isMalformed) => {
    const packets = [1, 2, 3, 4].map((seed) => add(frame(60, 0x0800, seed)));
    for (let round = 1; round <= 20; round++) {
      kernel.verdicts = ['sent', 'sending', verdict];
      for (const packet of packets) ring.put(burst, packet, 0, packet);
      expect(ring.submit()).toBe(isMalformed);
      expect([ring.stoppedAt, ring.errno]).toEqual([2, isMalformed ? 22 : 105]);
      expect([ring.packets, kernel.packets.length]).toEqual([2 * round, 2 * round]);
      kernel.finish();
    }
    expect(kernel.packets.at(-1)?.bytes).toEqual(frame(60, 0x0800, 2));
  });
});
