import { Worker } from 'node:worker_threads';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { CounterBlock, type CounterShare, counterIndexes } from '../../../rings/counters.js';

const NAMES = ['rxPackets', 'rxBytes', 'dropped'] as const;
const { rxPackets: RX_PACKETS, rxBytes: RX_BYTES } = counterIndexes(NAMES);

describe('CounterBlock', () => {
  it('starts at zero and adds by index', () => {
    const block = CounterBlock.create(NAMES);
    expect(block.snapshot()).toEqual({ rxPackets: 0, rxBytes: 0, dropped: 0 });
    block.values[RX_PACKETS]! += 2;
    block.values[RX_BYTES]! += 128;
    block.values[block.index.dropped]! += 1;
    expect(block.snapshot()).toEqual({ rxPackets: 2, rxBytes: 128, dropped: 1 });
  });

  it('is exact to 2^53', () => {
    const block = CounterBlock.create(NAMES);
    block.values[RX_BYTES] = 2 ** 53 - 2;
    block.values[RX_BYTES]! += 1;
    expect(block.snapshot().rxBytes).toBe(Number.MAX_SAFE_INTEGER);
  });

  it('is one of several in a buffer, and no two share a pair of cache lines', () => {
    const many = Array.from({ length: 17 }, (_, i) => `c${i}`);
    const blocks = CounterBlock.createSeveral(many, 3);
    for (const [i, block] of blocks.entries()) block.values.fill(i + 1);
    expect(blocks.map(({ values }) => [...new Set(values)])).toEqual([[1], [2], [3]]);
    const places = blocks.map((block) => block.share());
    expect(new Set(places.map(({ buffer }) => buffer)).size).toBe(1);
    const lines = places.flatMap(({ byteOffset }) =>
      [...new Set(many.map((_, i) => Math.floor((byteOffset + i * 8) / 128)))].sort((a, b) => a - b),
    );
    expect(new Set(lines).size).toBe(lines.length);
    expect(lines[0]).toBeGreaterThan(0);
    expect(places[0]!.buffer.byteLength).toBeGreaterThanOrEqual((lines.at(-1)! + 1) * 128);
  });

  it('has its names as types', () => {
    const block = CounterBlock.create(['a', 'b']);
    expectTypeOf(block).toEqualTypeOf<CounterBlock<'a' | 'b'>>();
    expectTypeOf(block.snapshot()).toEqualTypeOf<Record<'a' | 'b', number>>();
    expect(block.index).toEqual({ a: 0, b: 1 });
  });

  it('refuses an empty list of names, and a name twice', () => {
    expect(() => CounterBlock.create([])).toThrow(/at least one/);
    expect(() => CounterBlock.create(['a', 'b', 'a'])).toThrow(/a, b, a.*no name may occur twice/);
  });

  it('lies in memory of the caller if that is wanted', () => {
    const buffer = new SharedArrayBuffer(64);
    const block = CounterBlock.attach({ names: NAMES, buffer, byteOffset: 16 });
    block.values[RX_BYTES]! += 5;
    expect(new Float64Array(buffer)[3]).toBe(5);
    expect(() => CounterBlock.attach({ names: NAMES, buffer, byteOffset: 48 })).toThrow(RangeError);
  });

  it('is seen by another thread, and sees what that thread adds', async () => {
    const block = CounterBlock.create(NAMES);
    block.values[RX_PACKETS] = 40;
    const module = new URL('../../../dist/rings/counters.js', import.meta.url).href;
    const source = `
      const { parentPort, workerData } = require('node:worker_threads');
      import(${JSON.stringify(module)}).then(({ CounterBlock }) => {
        const block = CounterBlock.attach(workerData);
        block.values[block.index.rxPackets] += 2;
        parentPort.postMessage(block.snapshot());
      });`;
    const workerData: CounterShare<(typeof NAMES)[number]> = block.share();
    const worker = new Worker(source, { eval: true, workerData });
    try {
      const seen = await new Promise((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
      expect(seen).toEqual({ rxPackets: 42, rxBytes: 0, dropped: 0 });
      expect(block.snapshot()).toEqual(seen);
    } finally {
      await worker.terminate();
    }
  });
});
