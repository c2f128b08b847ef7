/** Notification suppression in both directions (virtio 1.2, 2.7.7 and 2.7.10), and where a ring may lie. */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { QueueCounter } from '../../../../../drivers/virtio/device/queue-counters.js';
import type { RingOptions } from '../../../../../drivers/virtio/device/ring.js';
import { SplitDeviceRing } from '../../../../../drivers/virtio/device/split-ring.js';
import { passesEvent } from '../../../../../drivers/virtio/layout/split.js';
import { SplitDriverModel } from '../../../../support/virtio/split-driver-model.js';

let driver: SplitDriverModel;
let ring: SplitDeviceRing;

function setUp(options: Partial<RingOptions> = {}): void {
  driver = new SplitDriverModel(options);
  ring = new SplitDeviceRing(driver, driver.place, driver.options);
}

afterEach(() => driver.close());

/** Uses `count` chains. Returns whether the driver was signalled. */
function use(count: number): boolean {
  for (let i = 0; i < count; i++) ring.use(0, 1, 0);
  ring.publish();
  return driver.takeSignal();
}

/** Takes the next chain, whatever it is. */
function take(): void {
  ring.look();
  ring.advance();
  ring.commit();
}

describe('signals to the driver', () => {
  it('are sent unless the driver has set NO_INTERRUPT', () => {
    setUp();
    expect(use(1)).toBe(true);
    driver.availFlags = 1;
    expect(use(1)).toBe(false);
    driver.availFlags = 0;
    expect(use(3)).toBe(true);
    expect(driver.options.counts[QueueCounter.signals]).toBe(2);
  });

  // Clauses: 2.7.7.2d
  it('with EVENT_IDX are sent when the used index passes used_event, not by flags', () => {
    setUp({ eventIdx: true });
    driver.availFlags = 1;
    driver.usedEvent = 0;
    expect(use(1)).toBe(true);
    expect(use(1)).toBe(false);
    driver.usedEvent = 4;
    expect(use(2)).toBe(false);
    expect(use(1)).toBe(true);
    driver.usedEvent = 7;
    expect(use(6)).toBe(true);
  });

  // Clauses: 2.7.7.2d
  it('with EVENT_IDX are sent across the end of the index', () => {
    setUp({ eventIdx: true, base: 65534 });
    driver.usedEvent = 0;
    expect(use(2)).toBe(false);
    expect(use(1)).toBe(true);
  });

  it('are not sent to a driver that polls', () => {
    setUp({ callFd: -1 });
    ring.use(0, 1, 0);
    ring.publish();
    expect(driver.options.counts[QueueCounter.signals]).toBe(0);
    setUp();
  });

  it('follow the rule of 2.7.7.1 for every index', () => {
    const index = fc.nat(0xffff);
    fc.assert(
      fc.property(index, index, fc.nat(1000), (event, from, moved) => {
        const to = (from + moved) & 0xffff;
        let passed = false;
        for (let i = 0; i < moved; i++) passed ||= ((from + i) & 0xffff) === event;
        expect(passesEvent(event, to, from)).toBe(passed);
      }),
    );
  });
});

describe('kicks from the driver', () => {
  it.each([
    ['flags', false],
    ['EVENT_IDX', true],
  ])('are asked for when nothing waits (%s)', (_, eventIdx) => {
    setUp({ eventIdx, base: 5 });
    ring.disableKick();
    expect(driver.usedFlags).toBe(eventIdx ? 0 : 1);
    expect(ring.enableKick()).toBe(true);
    expect(driver.usedFlags).toBe(0);
    if (eventIdx) expect(driver.availEvent).toBe(5);
  });

  it.each([
    ['flags', false],
    ['EVENT_IDX', true],
  ])('are off again when a chain is there already (%s)', (_, eventIdx) => {
    setUp({ eventIdx });
    driver.offerHead(0);
    expect(ring.enableKick()).toBe(false);
    expect(driver.usedFlags).toBe(eventIdx ? 0 : 1);
    take();
    expect(ring.enableKick()).toBe(true);
  });

  it('with EVENT_IDX come at the very next chain', () => {
    setUp({ eventIdx: true, base: 65535 });
    expect(ring.enableKick()).toBe(true);
    // What a driver computes when it has added one chain (2.7.7.1 with avail_event).
    expect(passesEvent(driver.availEvent, 0, 65535)).toBe(true);
  });
});

describe('the place of a ring', () => {
  it.each([0, 3, 48, 65536])('refuses %i descriptors', (size) => {
    setUp();
    expect(() => new SplitDeviceRing(driver, driver.place, { ...driver.options, size })).toThrow(/queue size/);
  });

  it('refuses a base that is no index', () => {
    setUp();
    expect(() => new SplitDeviceRing(driver, driver.place, { ...driver.options, base: 0x1_0000 })).toThrow(
      'ring base 65536: an index of a split ring has 16 bits',
    );
  });

  it.each([
    ['desc', 8],
    ['avail', 1],
    ['used', 2],
  ])('refuses a misaligned %s', (area, off) => {
    setUp();
    const place = { ...driver.place, [area]: driver.place[area as 'desc'] + off };
    expect(() => new SplitDeviceRing(driver, place, driver.options)).toThrow(/aligned/);
  });

  it('continues from its indexes after a move', () => {
    setUp();
    driver.offerHead(3);
    take();
    use(1);
    const moved = { desc: 0x6000, avail: 0x7000, used: 0x9000 };
    const { u8 } = driver.memory;
    u8.copyWithin(moved.avail, driver.place.avail, driver.place.avail + 64);
    u8.copyWithin(moved.used, driver.place.used, driver.place.used + 256);
    ring.move(driver, moved);
    driver.memory.u16[(moved.avail + 2) / 2] = 2;
    expect(ring.look()).toBe(true);
    ring.use(7, 1, 9);
    ring.publish();
    expect([...u8.slice(moved.used + 2, moved.used + 20)]).toEqual([
      2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0,
    ]);
  });
});
