/** The device's side of a packed ring (2.8): wraps, notifications, and where it begins and continues. */
import { describe, expect, it } from 'vitest';
import { MAX_BURST } from '../../../../../drivers/virtio/device/packet-burst.js';
import { DeviceTxQueue } from '../../../../../drivers/virtio/device/tx-queue.js';
import { PackedRingSuite } from '../../../../support/virtio/device-queue-suite.js';

const suite = new PackedRingSuite();

describe('the place where a ring begins and continues', () => {
  // Clauses: 2.8.12b
  it.each([
    [0x8000, 16],
    [0x0000, 16],
    [0x800f, 16],
    [0x0005, 7],
    [0x8000_8000, 16],
    [0x0003_0003, 16],
  ])('goes round from base %i with %i descriptors, with bursts of every size', (base, size) => {
    suite.setUp({ base, size });
    let next = 0;
    for (let round = 0; round < 40; round++) {
      const n = 1 + (round % Math.min(size, 9));
      const { offset } = suite.sent(0);
      const ids = Array.from({ length: n }, (_, i) => {
        suite.driver.memory.u8[offset + 12] = (next + i) & 0xff;
        return suite.driver.offer([suite.sent(next + i)]);
      });
      expect(suite.tx.take(suite.burst, MAX_BURST)).toBe(n);
      for (let i = 0; i < n; i++) expect(suite.firstByte(i)).toBe(((next + i) * 7) & 0xff);
      suite.tx.complete();
      expect(suite.driver.takeUsed()).toEqual(ids.map((id) => ({ id, length: 0 })));
      next += n;
    }
    expect(suite.tx.ring.stop()).toBe(suite.driver.expectedBase >>> 0);
  });

  // Clauses: 2.8.18a
  it('goes round with chains of every length, some across the end of the ring', () => {
    suite.setUp({ size: 7 });
    for (let round = 0; round < 50; round++) {
      const parts = 1 + (round % 5);
      const { offset, length } = suite.sent(round, 60);
      const cut = Array.from({ length: parts }, (_, i) => ({
        offset: offset + Math.floor((length * i) / parts),
        length: Math.floor((length * (i + 1)) / parts) - Math.floor((length * i) / parts),
      }));
      const id = suite.driver.offer(cut);
      expect(suite.tx.take(suite.burst, MAX_BURST)).toBe(1);
      expect(suite.burst.length[0]).toBe(60);
      suite.tx.complete();
      expect(suite.driver.takeUsed()).toEqual([{ id, length: 0 }]);
    }
    expect(suite.reasons).toEqual([]);
  });

  it('is the used index where that is behind the available one', () => {
    suite.setUp({ base: 0x8002_8005 });
    const id = suite.driver.offer([suite.sent(1)]);
    expect(suite.tx.take(suite.burst, MAX_BURST)).toBe(1);
    suite.tx.complete();
    // The driver still waits for three descriptors. The next used one goes to the place after theirs.
    expect(suite.driver.memory.u16[(suite.driver.place.desc + 2 * 16 + 12) / 2]).toBe(id);
  });

  it.each([
    [0x8010, 16, /0x8010 names a descriptor beyond a queue of 16/],
    [0x8010_8000, 16, /names a descriptor beyond/],
    [0x8000, 0, /queue size 0/],
    [0x8000, 32769, /queue size 32769/],
  ])('refuses base %i with %i descriptors', (base, size, message) => {
    suite.setUp();
    expect(() => new DeviceTxQueue(suite.driver, suite.driver.place, { ...suite.driver.options, base, size })).toThrow(
      message,
    );
  });

  it.each([
    ['desc', 8],
    ['avail', 2],
    ['used', 2],
  ])('refuses a misaligned %s', (area, off) => {
    suite.setUp();
    const place = { ...suite.driver.place, [area]: suite.driver.place[area as 'desc'] + off };
    expect(() => new DeviceTxQueue(suite.driver, place, suite.driver.options)).toThrow(/aligned/);
  });
});

describe('what the driver sees', () => {
  it('nothing of a burst until its first descriptor is used, and then all (2.8.2)', () => {
    suite.setUp();
    for (let i = 0; i < 3; i++) suite.driver.offer([suite.sent(i)]);
    expect(suite.tx.take(suite.burst, MAX_BURST)).toBe(3);
    suite.tx.ring.use(1, 1, 0);
    suite.tx.ring.use(2, 1, 0);
    const flags = (i: number): number => suite.driver.memory.u16[(suite.driver.place.desc + i * 16 + 14) / 2]! & 0x8080;
    expect([flags(0), flags(1)]).toEqual([0x80, 0x8080]);
    suite.tx.ring.publish();
    expect([flags(0), flags(1), flags(2)]).toEqual([0x8080, 0x8080, 0x80]);
  });
});

describe('signals to the driver', () => {
  const use = (n: number): boolean => {
    for (let i = 0; i < n; i++) suite.driver.offer([suite.sent(i)]);
    expect(suite.tx.take(suite.burst, MAX_BURST)).toBe(n);
    suite.tx.complete();
    suite.driver.takeUsed();
    return suite.driver.takeSignal();
  };

  it('are sent unless the driver has disabled them', () => {
    suite.setUp();
    expect(use(1)).toBe(true);
    suite.driver.setEvent(1);
    expect(use(1)).toBe(false);
    suite.driver.setEvent(0);
    expect(use(3)).toBe(true);
    // 2.8.10: this value exists only with EVENT_IDX. One signal too many does no harm.
    suite.driver.setEvent(2, 1000);
    expect(use(1)).toBe(true);
    expect(suite.count('signals')).toBe(3);
  });

  it('with EVENT_IDX are sent when the descriptor is used, in its round only', () => {
    suite.setUp({ eventIdx: true, size: 5 });
    let used = 0;
    for (let event = 0; event < 60; event++) {
      suite.driver.setEvent(2, used + (event % 5));
      const n = 1 + (event % 4);
      expect(use(n)).toBe(event % 5 < n);
      used += n;
    }
  });
});

describe('kicks from the driver', () => {
  it.each([false, true])('are asked for when nothing waits, and not while polling (EVENT_IDX: %s)', (eventIdx) => {
    suite.setUp({ eventIdx, size: 5 });
    for (let round = 0; round < 12; round++) {
      expect(suite.tx.enableKick()).toBe(true);
      const { flags, index, wrap } = suite.driver.deviceEvent;
      expect(flags).toBe(eventIdx ? 2 : 0);
      if (eventIdx) expect({ index, wrap }).toEqual({ index: round % 5, wrap: Math.floor(round / 5) % 2 === 0 });
      suite.driver.offer([suite.sent(round)]);
      expect(suite.tx.enableKick()).toBe(false);
      expect(suite.driver.deviceEvent.flags).toBe(1);
      expect(suite.tx.take(suite.burst, MAX_BURST)).toBe(1);
      suite.tx.complete();
      suite.driver.takeUsed();
    }
  });
});
