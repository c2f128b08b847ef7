/**
 * The device's side of a transmit queue: frames come out as the driver has sent them, wherever they are cut into
 * descriptors.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_BURST } from '../../../../../drivers/virtio/device/packet-burst.js';
import { DeviceTxSuite, frameBytes, HEADER } from '../../../../support/virtio/device-queue-suite.js';

const suite = new DeviceTxSuite();

describe.each(['split', 'packed'] as const)('DeviceTxQueue on a %s ring', (which) => {
  beforeEach(() => {
    suite.layout = which;
  });

  afterEach(() => {
    suite.layout = 'split';
  });

  it('takes a frame that follows its header in one descriptor, returns the chain', () => {
    suite.setUp();
    const frame = frameBytes(60);
    const head = suite.driver.offer(suite.pieces([...HEADER, ...frame], [72]));
    expect(suite.queue.take(suite.burst, MAX_BURST)).toBe(1);
    expect(suite.content(0)).toEqual(frame);
    expect(suite.driver.takeUsed()).toEqual([]);
    suite.queue.complete();
    expect(suite.driver.takeUsed()).toEqual([{ id: head, length: 0 }]);
    expect(suite.count('packets')).toBe(1);
    expect(suite.count('bytes')).toBe(60);
    expect(suite.queue.take(suite.burst, MAX_BURST)).toBe(0);
  });

  it('takes a header of 10 bytes from a legacy driver', () => {
    suite.setUp({ headerBytes: 10, mergeable: false });
    const frame = frameBytes(64);
    suite.driver.offer(suite.pieces([...HEADER.slice(2), ...frame], [10, 64]));
    expect(suite.queue.take(suite.burst, MAX_BURST)).toBe(1);
    expect(suite.content(0)).toEqual(frame);
  });

  it('takes at most `max` frames, at most a burst, and continues from there', () => {
    suite.setUp({ size: 64 });
    for (let i = 0; i < 50; i++) suite.driver.offer(suite.pieces([...HEADER, ...frameBytes(20, i)], [32]));
    expect(suite.queue.take(suite.burst, 5)).toBe(5);
    suite.queue.complete();
    expect(suite.queue.take(suite.burst, 1000)).toBe(MAX_BURST);
    expect(suite.content(0)).toEqual(frameBytes(20, 5));
    suite.queue.complete();
    expect(suite.queue.take(suite.burst, 1000)).toBe(50 - 5 - MAX_BURST);
    suite.queue.complete();
    expect(suite.driver.takeUsed()).toHaveLength(50);
  });

  // Clauses: 2.7.4.1a
  it('takes any frame, in whatever direct and indirect descriptors it comes', () => {
    const cuts = fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 12 });
    const packets = fc.array(
      fc.record({ cuts, seed: fc.nat(250), direct: fc.nat(3), more: fc.integer({ min: 26, max: 300 }) }),
      {
        minLength: 1,
        maxLength: 4,
      },
    );
    fc.assert(
      fc.property(packets, fc.boolean(), (specs, indirect) => {
        suite.setUp({ size: 64, indirect });
        const expected = specs.map(({ cuts, seed, direct, more }) => {
          const lengths = [...cuts, more];
          const total = lengths.reduce((sum, length) => sum + length, 0);
          const frame = frameBytes(total - 12, seed);
          suite.driver.offer(
            suite.pieces([...HEADER, ...frame], lengths),
            indirect ? Math.min(direct, lengths.length) : lengths.length,
          );
          return frame;
        });
        expect(suite.queue.take(suite.burst, MAX_BURST)).toBe(specs.length);
        expect(specs.map((_, i) => suite.content(i))).toEqual(expected);
        suite.queue.complete();
        expect(suite.driver.takeUsed()).toHaveLength(specs.length);
        suite.driver.close();
      }),
      { numRuns: 200 },
    );
    suite.setUp();
  });
});

describe('DeviceTxQueue on a split ring', () => {
  it('follows the indexes past 65535', () => {
    suite.setUp({ base: 65530 });
    for (let i = 0; i < 12; i++) {
      suite.driver.offer(suite.pieces([...HEADER, ...frameBytes(14 + i)], [26 + i]));
      expect(suite.queue.take(suite.burst, MAX_BURST)).toBe(1);
      expect(suite.content(0)).toEqual(frameBytes(14 + i));
      suite.queue.complete();
      expect(suite.driver.takeUsed()).toHaveLength(1);
    }
  });

  it('touches nothing once it is stopped', () => {
    suite.setUp();
    suite.driver.offer(suite.pieces([...HEADER, ...frameBytes(60)], [72]));
    expect(suite.queue.take(suite.burst, MAX_BURST)).toBe(1);
    expect(suite.queue.ring.stop()).toBe(1);
    suite.queue.complete();
    suite.queue.disableKick();
    expect(suite.driver.takeUsed()).toEqual([]);
    expect(suite.split.usedFlags).toBe(0);
    expect(suite.queue.take(suite.burst, MAX_BURST)).toBe(0);
  });
});
