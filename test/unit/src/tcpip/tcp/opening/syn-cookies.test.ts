import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  COOKIE_ECN,
  COOKIE_NO_SCALE,
  COOKIE_SACK,
  COOKIE_SCALE_MASK,
  SynCookies,
} from '../../../../../../src/tcpip/tcp/opening/syn-cookies.js';

const KEY = Uint8Array.from({ length: 16 }, (_, i) => 200 - i);
const cookies = new SynCookies(KEY);
const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });

describe('a SYN cookie', () => {
  it.each([
    [0, 64],
    [64, 64],
    [535, 64],
    [536, 536],
    [1459, 1452],
    [1460, 1460],
    [8959, 1460],
    [8960, 8960],
    [65_535, 8960],
  ])('for an MSS of %i brings back %i', (mss, expected) => {
    const cookie = cookies.make(1, 2, 3, mss, 0);
    expect(cookie).toBe(cookie | 0);
    expect(cookies.check(1, 2, 3, cookie, 0)).toBe(expected);
  });

  it('is valid for 64 s and invalid from 132 s on, also where the clock wraps', () => {
    fc.assert(
      fc.property(int32, int32, int32, fc.oneof(int32, fc.integer({ min: -200_000, max: 0 })), (a, b, c, ms) => {
        const cookie = cookies.make(a, b, c, 1460, ms);
        for (const age of [0, 1, 1000, 30_000, 64_000]) {
          expect(cookies.check(a, b, c, cookie, (ms + age) | 0)).toBe(1460);
        }
        for (const age of [132_000, 200_000, 1_000_000, 2 ** 21, 2 ** 21 + 60_000, 2 ** 31]) {
          expect(cookies.check(a, b, c, cookie, (ms + age) | 0)).toBe(0);
        }
        expect(cookies.check(a, b, c, cookie, (ms - 66_000) | 0)).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it('is refused after any bit of it, of the flow or of the key has changed', () => {
    const cookie = cookies.make(11, 22, 33, 1460, 1000);
    for (let bit = 0; bit < 32; bit++) {
      const flip = 1 << bit;
      expect(cookies.check(11, 22, 33, cookie ^ flip, 1000)).toBe(0);
      expect(cookies.check(11 ^ flip, 22, 33, cookie, 1000)).toBe(0);
      expect(cookies.check(11, 22 ^ flip, 33, cookie, 1000)).toBe(0);
      expect(cookies.check(11, 22, 33 ^ flip, cookie, 1000)).toBe(0);
    }
    expect(new SynCookies(new Uint8Array(16)).check(11, 22, 33, cookie, 1000)).toBe(0);
  });

  it('cannot be guessed: none of a million numbers is valid', () => {
    let valid = 0;
    for (let i = 0; i < 1_000_000; i++) {
      if (cookies.check(1, 2, 3, Math.imul(i, 0x9e3779b1), 5000) !== 0) valid++;
    }
    expect(valid).toBe(0);
  });
});

describe('the timestamp of a SYN cookie', () => {
  it('carries window scale, SACK and ECN, and is at most 64 ms before the time', () => {
    fc.assert(
      fc.property(int32, fc.integer({ min: -1, max: 14 }), fc.boolean(), fc.boolean(), (ms, scale, sack, ecn) => {
        const ts = cookies.tsFor(ms, scale, sack, ecn);
        expect(ts).toBe(ts | 0);
        const options = cookies.fromTs(ts);
        expect(options & COOKIE_SCALE_MASK).toBe(scale < 0 ? COOKIE_NO_SCALE : scale);
        expect((options & COOKIE_SACK) !== 0).toBe(sack);
        expect((options & COOKIE_ECN) !== 0).toBe(ecn);
        const before = (ms - ts) | 0;
        expect(before).toBeGreaterThanOrEqual(0);
        expect(before).toBeLessThan(64);
      }),
      { numRuns: 1000 },
    );
  });
});
