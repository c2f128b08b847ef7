/** Which packets of a burst the driver was not given: what a capture of drops shows. */
import { beforeEach, describe, expect, it } from 'vitest';
import { CHECKSUM_PARTIAL } from '../../../../../rings/packet-table.js';
import { ALL, DeviceRxSuite } from '../../../../support/virtio/device-queue-suite.js';

const suite = new DeviceRxSuite();

/** Puts the packets of these places; returns those that were refused, as places among them. */
function put(indices = ALL, count = suite.burst.count): number[] {
  const delivered = suite.queue.put(suite.burst, indices, count);
  const refused = Array.from({ length: count }, (_, i) => i).filter((i) => (suite.queue.refused & (1 << i)) !== 0);
  expect(delivered + refused.length).toBe(count);
  return refused;
}

/** Appends packets of these lengths; with `flags`, as if their sender had left something to others. */
function packets(lengths: readonly number[], isOffloaded: boolean): void {
  for (const length of lengths) suite.packet([length], length);
  if (!isOffloaded) return;
  // One packet of the burst is enough: the whole burst takes the other way.
  suite.burst.flags.fill(0);
  suite.burst.flags[0] = CHECKSUM_PARTIAL;
  suite.burst.csumStart[0] = 14;
  suite.burst.csumOffset[0] = 16;
  suite.burst.offloaded = 1;
}

const cases = (['split', 'packed'] as const).flatMap((layout) =>
  [false, true].map((offloaded) => ({ layout, offloaded })),
);

describe.each(cases)('on a $layout ring, with offloads: $offloaded', ({ layout, offloaded }) => {
  beforeEach(() => {
    suite.layout = layout;
    suite.setUp({ mergeable: false, size: 64 });
  });

  it('none, when the driver gets all', () => {
    packets([60, 61, 62], offloaded);
    for (let i = 0; i < 3; i++) suite.post([2048]);
    expect(put()).toEqual([]);
    expect(suite.queue.refused).toBe(0);
  });

  it('those in the middle that are too long for the buffer, or for the MTU', () => {
    packets([60, 1000, 61, 1001, 62], offloaded);
    for (let i = 0; i < 5; i++) suite.post([512]);
    expect(put()).toEqual([1, 3]);
    suite.queue.longestFrame = 61;
    expect(put(Uint8Array.of(4, 0, 2), 3)).toEqual([0]);
    expect([suite.count('noRoom'), suite.count('tooLong')]).toEqual([2, 1]);
  });

  it('those at the end for which there are no buffers', () => {
    packets([60, 61, 62, 63], offloaded);
    for (let i = 0; i < 2; i++) suite.post([2048]);
    expect(put()).toEqual([2, 3]);
    expect(put()).toEqual([0, 1, 2, 3]);
    expect(suite.count('noBuffer')).toBe(6);
    // Nothing is left of that with the next burst.
    for (let i = 0; i < 4; i++) suite.post([2048]);
    expect(put()).toEqual([]);
  });

  it('one in the middle and those at the end, by their places and not their numbers', () => {
    packets([60, 1000, 61, 62], offloaded);
    for (let i = 0; i < 2; i++) suite.post([512]);
    expect(put(Uint8Array.of(3, 1, 0, 2), 4)).toEqual([1, 3]);
  });

  it('the last ones of the longest burst', () => {
    packets(
      Array.from({ length: 32 }, () => 60),
      offloaded,
    );
    for (let i = 0; i < 31; i++) suite.post([512]);
    expect(put()).toEqual([31]);
    expect(put().length).toBe(32);
  });

  it('all, when there is no driver', () => {
    packets([60, 61], offloaded);
    suite.post([2048]);
    suite.queue.ring.stop();
    expect(put()).toEqual([0, 1]);
    expect(suite.count('noDriver')).toBe(2);
  });
});
