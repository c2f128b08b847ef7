/** The timer wheel against a list of deadlines. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TimerWheel } from '../../../../../../src/tcpip/tcp/state/timer-wheel.js';

/** Notes which timers expired. */
class Recorder {
  readonly ids: number[] = [];
  expired(id: number): void {
    this.ids.push(id);
  }
  take(): number[] {
    return this.ids.splice(0);
  }
}

describe('a timer', () => {
  it.each([0, 12_345, 0x7fff_ffff, 0x7fff_fff0, -0x8000_0000, -1, -300])(
    'expires at its time and not before, when the clock begins at %i',
    (start) => {
      for (const delay of [1, 2, 255, 256, 257, 65_535, 65_536, 70_000, 16_777_216, 20_000_000, 2 ** 31 - 1]) {
        const wheel = new TimerWheel(4, start);
        const recorder = new Recorder();
        wheel.set(2, (start + delay) | 0);
        expect(wheel.isSet(2)).toBe(true);
        expect(wheel.deadline(2)).toBe((start + delay) | 0);
        expect(wheel.msToNext(start)).toBeGreaterThan(0);
        expect(wheel.msToNext(start)).toBeLessThanOrEqual(delay);
        expect(wheel.advance((start + delay - 1) | 0, recorder)).toBe(0);
        expect(wheel.msToNext((start + delay - 1) | 0)).toBe(1);
        expect(wheel.advance((start + delay) | 0, recorder)).toBe(1);
        expect(recorder.take()).toEqual([2]);
        expect(wheel.isSet(2)).toBe(false);
        expect(wheel.armed).toBe(0);
        expect(wheel.msToNext((start + delay) | 0)).toBe(Number.POSITIVE_INFINITY);
      }
    },
  );

  it('whose time has passed expires in the next millisecond', () => {
    const wheel = new TimerWheel(1, 1000);
    const recorder = new Recorder();
    for (const deadline of [1000, 10, -50_000]) {
      wheel.set(0, deadline);
      expect(wheel.advance(1000, recorder)).toBe(0);
      expect(wheel.msToNext(1000)).toBe(1);
      wheel.clear(0);
    }
    wheel.set(0, 999);
    expect(wheel.advance(1001, recorder)).toBe(1);
  });

  it('whose time has passed is not late at the end of a round of the wheel', () => {
    for (const now of [255, 65_535, 0xff_ffff, 0x7fff_ffff]) {
      const wheel = new TimerWheel(1, now);
      wheel.set(0, now - 20);
      expect(wheel.advance((now + 1) | 0, new Recorder())).toBe(1);
    }
  });

  it('can be set later, earlier and cleared at any time', () => {
    const wheel = new TimerWheel(2, 0);
    const recorder = new Recorder();
    wheel.set(0, 100);
    wheel.set(0, 200);
    wheel.advance(150, recorder);
    expect(recorder.take()).toEqual([]);
    wheel.set(0, 160);
    wheel.advance(160, recorder);
    expect(recorder.take()).toEqual([0]);
    wheel.set(0, 250);
    wheel.set(0, 249);
    wheel.advance(249, recorder);
    expect(recorder.take()).toEqual([0]);
    wheel.set(0, 300);
    wheel.clear(0);
    wheel.clear(0);
    expect(wheel.armed).toBe(0);
    wheel.set(0, 400);
    wheel.advance(399, recorder);
    expect(recorder.take()).toEqual([]);
    wheel.advance(400, recorder);
    expect(recorder.take()).toEqual([0]);
  });
});

describe('the handler', () => {
  it('may set and clear timers, also the one that expired and those of the same tick', () => {
    const wheel = new TimerWheel(8, 0);
    const log: string[] = [];
    let now = 0;
    const handler = {
      expired(id: number) {
        log.push(`${id}@${now}`);
        if (id === 0) {
          wheel.clear(1);
          wheel.clear(2);
          wheel.set(0, now);
        }
        if (id === 3) wheel.set(3, now + 7);
      },
    };
    wheel.set(1, 5);
    wheel.set(2, 5);
    wheel.set(0, 4);
    wheel.set(3, 6);
    for (now = 1; now <= 15; now++) {
      wheel.advance(now, handler);
      if (now === 8) wheel.clear(0);
    }
    expect(log).toEqual(['0@4', '0@5', '0@6', '3@6', '0@7', '0@8', '3@13'].sort((a, b) => order(a) - order(b)));
  });

  it('is called in the order of the deadlines when the clock jumps', () => {
    const wheel = new TimerWheel(1000, 0);
    const recorder = new Recorder();
    const deadlines = Array.from({ length: 1000 }, (_, i) => 1 + ((i * 7919) % 1_000_003) * 5);
    deadlines.forEach((deadline, id) => {
      wheel.set(id, deadline);
    });
    expect(wheel.advance(10_000_000, recorder)).toBe(1000);
    const fired = recorder.take().map((id) => deadlines[id]!);
    expect(fired).toEqual([...fired].sort((a, b) => a - b));
  });
});

function order(entry: string): number {
  const [id, at] = entry.split('@').map(Number) as [number, number];
  return at * 10 + id;
}

describe('the wheel', () => {
  it('behaves as a list of deadlines does, however time passes', () => {
    const ids = 12;
    const delay = fc.oneof(
      fc.integer({ min: -5, max: 300 }),
      fc.integer({ min: 0, max: 70_000 }),
      fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    );
    const id = fc.integer({ min: 0, max: ids - 1 });
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ set: id, delay }) },
      { weight: 2, arbitrary: fc.record({ clear: id }) },
      {
        weight: 4,
        arbitrary: fc.record({
          pass: fc.oneof(
            fc.integer({ min: 0, max: 3 }),
            fc.integer({ min: 0, max: 400 }),
            fc.integer({ min: 0, max: 100_000 }),
            fc.integer({ min: 0, max: 2 ** 30 }),
          ),
        }),
      },
    );
    const start = fc.oneof(
      fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
      fc.constantFrom(0x7fff_ffff, -1, 0, 0x7fff_fe00, -256),
    );
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 100 }), (begin, steps) => {
        const wheel = new TimerWheel(ids, begin);
        const recorder = new Recorder();
        // The model counts without wrapping.
        let now = 0;
        const due = new Map<number, number>();
        for (const one of steps) {
          if ('set' in one) {
            wheel.set(one.set, (begin + now + one.delay) | 0);
            due.set(one.set, Math.max(now + one.delay, now + 1));
          } else if ('clear' in one) {
            wheel.clear(one.clear);
            due.delete(one.clear);
          } else {
            // Sleeping as long as the wheel allows must not miss a timer.
            const least = Math.min(...due.values()) - now;
            const allowed = wheel.msToNext((begin + now) | 0);
            expect(allowed).toBeLessThanOrEqual(least);
            expect(allowed).toBeGreaterThanOrEqual(0);
            now += one.pass;
            wheel.advance((begin + now) | 0, recorder);
            const expected = [...due].filter(([, at]) => at <= now).sort((a, b) => a[1] - b[1]);
            const fired = recorder.take();
            expect(fired.map((one) => due.get(one))).toEqual(expected.map(([, at]) => at));
            expect([...fired].sort()).toEqual(expected.map(([one]) => one).sort());
            for (const one of fired) due.delete(one);
          }
          expect(wheel.armed).toBe(due.size);
          for (let one = 0; one < ids; one++) expect(wheel.isSet(one)).toBe(due.has(one));
        }
      }),
      { numRuns: 1500 },
    );
  });
});
