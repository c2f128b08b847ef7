/** The device's side of a receive queue: a frame arrives in the driver's buffers as a whole or not at all. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ALL, DeviceRxSuite } from '../../../../support/virtio/device-queue-suite.js';

const PLAIN_HEADER = (buffers: number): number[] => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, buffers, 0];
const suite = new DeviceRxSuite();

describe.each(['split', 'packed'] as const)('DeviceRxQueue on a %s ring', (which) => {
  beforeEach(() => {
    suite.layout = which;
  });

  afterEach(() => {
    suite.layout = 'split';
  });

  it('writes header and frame into a posted buffer, and nothing after them', () => {
    suite.setUp();
    const head = suite.post([2048]);
    const bytes = suite.packet([60], 1);
    expect(suite.queue.put(suite.burst, ALL, 1)).toBe(1);
    const used = suite.driver.takeUsed();
    expect(used).toEqual([{ id: head, length: 72 }]);
    expect(suite.found(used[0]!)).toEqual([...PLAIN_HEADER(1), ...bytes]);
    expect([suite.count('packets'), suite.count('bytes')]).toEqual([1, 60]);
  });

  it('writes a header of 10 bytes for a legacy driver', () => {
    suite.setUp({ headerBytes: 10, mergeable: false });
    suite.post([10, 1518]);
    const bytes = suite.packet([64], 1);
    expect(suite.queue.put(suite.burst, ALL, 1)).toBe(1);
    expect(suite.found(suite.driver.takeUsed()[0]!)).toEqual([...PLAIN_HEADER(1).slice(0, 10), ...bytes]);
  });

  it('puts the packets that the indices name, in the order of the indices', () => {
    suite.setUp();
    const bytes = [20, 30, 40, 50].map((length, i) => suite.packet([length], i));
    for (let i = 0; i < 3; i++) suite.post([100]);
    expect(suite.queue.put(suite.burst, Uint8Array.of(3, 0, 2), 3)).toBe(3);
    expect(suite.driver.takeUsed().map((used) => suite.found(used).slice(12))).toEqual([bytes[3], bytes[0], bytes[2]]);
  });

  it('stops when no buffer is left, and counts the rest', () => {
    suite.setUp();
    for (let i = 0; i < 5; i++) suite.packet([60], i);
    suite.post([100]);
    suite.post([100]);
    expect(suite.queue.put(suite.burst, ALL, 5)).toBe(2);
    expect(suite.count('noBuffer')).toBe(3);
    expect(suite.queue.put(suite.burst, ALL, 5)).toBe(0);
    expect(suite.count('noBuffer')).toBe(8);
    expect(suite.driver.takeUsed()).toHaveLength(2);
  });

  it('tells how many buffers are posted, and what fits the next one', () => {
    suite.setUp();
    const { queue } = suite;
    expect([queue.posted(8), queue.nextRoom()]).toEqual([0, 0]);
    suite.post([100]);
    suite.post([10, 1518], 0, 2);
    suite.post([200]);
    expect([queue.posted(8), queue.posted(2), queue.nextRoom()]).toEqual([3, 2, 88]);
    suite.packet([60], 1);
    expect([queue.put(suite.burst, ALL, 1), queue.posted(8), queue.nextRoom()]).toEqual([1, 2, 0]);
    queue.ring.stop();
    expect([queue.posted(8), queue.nextRoom()]).toEqual([0, 0]);
  });

  it('also copies within one memory', () => {
    suite.setUp();
    suite.burst.memory = suite.driver.memory;
    const bytes = suite.packet([1500], 1, 62, suite.driver.memory);
    suite.post([2048], 50);
    expect(suite.queue.put(suite.burst, ALL, 1)).toBe(1);
    expect(suite.found(suite.driver.takeUsed()[0]!).slice(12)).toEqual(bytes);
  });

  it('spreads a frame over several buffers and says so, if that was negotiated', () => {
    suite.setUp();
    for (let i = 0; i < 4; i++) suite.post([40]);
    const bytes = suite.packet([50, 51], 1);
    expect(suite.queue.put(suite.burst, ALL, 1)).toBe(1);
    const used = suite.driver.takeUsed();
    expect(used.map(({ length }) => length)).toEqual([40, 40, 33]);
    expect(used.flatMap((element) => suite.found(element))).toEqual([...PLAIN_HEADER(3), ...bytes]);
  });

  it('drops a frame that the buffers left do not hold, and keeps them for smaller ones', () => {
    suite.setUp();
    suite.post([40]);
    suite.post([40]);
    suite.packet([100], 1);
    const small = suite.packet([20], 2);
    expect(suite.queue.put(suite.burst, ALL, 2)).toBe(1);
    expect(suite.count('noBuffer')).toBe(1);
    const used = suite.driver.takeUsed();
    expect(used).toHaveLength(1);
    expect(suite.found(used[0]!).slice(12)).toEqual(small);
  });

  it('drops a frame longer than its buffer, without merging, and keeps the buffer', () => {
    suite.setUp({ mergeable: false });
    suite.post([12, 60]);
    suite.packet([61], 1);
    const fits = suite.packet([60], 2);
    expect(suite.queue.put(suite.burst, ALL, 2)).toBe(1);
    expect(suite.count('noRoom')).toBe(1);
    expect(suite.found(suite.driver.takeUsed()[0]!)).toEqual([...PLAIN_HEADER(1), ...fits]);
  });

  it('drops a frame that would need more buffers than are merged, and keeps them', () => {
    suite.setUp({ size: 128 });
    for (let i = 0; i < 100; i++) suite.post([12]);
    suite.packet([1000], 1);
    expect(suite.queue.put(suite.burst, ALL, 1)).toBe(0);
    expect(suite.count('noRoom')).toBe(1);
    expect(suite.driver.takeUsed()).toEqual([]);
  });

  // Clauses: 2.7.4.1a
  it('delivers any packet into any buffers that hold it, byte for byte', () => {
    const chain = fc.record({
      parts: fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 5 }),
      skew: fc.nat(63),
      direct: fc.nat(4),
    });
    const frame = fc.record({
      pieces: fc.array(fc.integer({ min: 1, max: 600 }), { minLength: 1, maxLength: 5 }),
      skew: fc.nat(63),
      seed: fc.nat(255),
    });
    const chains = fc.array(chain, { minLength: 1, maxLength: 10 });
    const frames = fc.array(frame, { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(chains, frames, fc.boolean(), (chains, frames, mergeable) => {
        suite.setUp({ size: 64, mergeable });
        for (const { parts, skew, direct } of chains) {
          // 5.1.6.3.2: a buffer holds at least the header.
          suite.post([12, ...parts], skew, Math.min(direct, parts.length + 1));
        }
        const bytes = frames.map(({ pieces, skew, seed }) => suite.packet(pieces, seed, skew));
        const delivered = suite.queue.put(suite.burst, ALL, frames.length);
        expect(delivered + suite.count('noBuffer') + suite.count('noRoom')).toBe(frames.length);
        const used = suite.driver.takeUsed();
        const got: number[][] = [];
        for (let u = 0; u < used.length; ) {
          const first = suite.found(used[u]!);
          const buffers = first[10]!;
          expect(first.slice(0, 12)).toEqual(PLAIN_HEADER(buffers));
          const rest = used.slice(u + 1, u + buffers).flatMap((element) => suite.found(element));
          got.push([...first.slice(12), ...rest]);
          u += buffers;
        }
        // The frames that were delivered are a subsequence of those that were put.
        expect(got).toHaveLength(delivered);
        let next = 0;
        for (const frame of got) {
          while (next < bytes.length && Buffer.compare(Buffer.from(bytes[next]!), Buffer.from(frame)) !== 0) next++;
          expect(next++).toBeLessThan(bytes.length);
        }
        suite.driver.close();
      }),
      { numRuns: 300 },
    );
    suite.setUp();
  });
});
