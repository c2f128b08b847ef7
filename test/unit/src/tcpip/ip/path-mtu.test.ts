/** Path MTU discovery (RFC 1191). */
import { describe, expect, it } from 'vitest';
import { Clock } from '../../../../../src/tcpip/clock.js';
import { createIpCounters } from '../../../../../src/tcpip/ip/counters.js';
import { PathMtus, plateauBelow } from '../../../../../src/tcpip/ip/path-mtu.js';

const TEN_MINUTES = 600_000;

function makePaths(linkMtu = 1500, capacity = 1024, start = 0) {
  const time = { now: start };
  const clock = new Clock(() => time.now);
  const counters = createIpCounters();
  const paths = new PathMtus(linkMtu, clock, counters, capacity);
  const pass = (ms: number): void => {
    time.now += ms;
    clock.read();
  };
  return { paths, pass, counters };
}

describe('the MTU of a path', () => {
  it('is that of the link until something else is known', () => {
    const { paths } = makePaths(9000);
    expect(paths.pathMtu(1)).toBe(9000);
  });

  it('is lowered, and never raised, for one destination', () => {
    const { paths, counters } = makePaths();
    expect(paths.reduce(1, 1400)).toBe(true);
    expect(paths.reduce(1, 1400)).toBe(false);
    expect(paths.reduce(1, 1450)).toBe(false);
    expect(paths.reduce(1, 1500)).toBe(false);
    expect(paths.reduce(2, 1500)).toBe(false);
    expect([paths.pathMtu(1), paths.pathMtu(2)]).toEqual([1400, 1500]);
    expect(paths.reduce(1, 1300)).toBe(true);
    expect(paths.pathMtu(1)).toBe(1300);
    expect(counters.snapshot()).toMatchObject({ ip_pmtu_reduced: 2, ip_pmtu_ignored: 4, ip_pmtu_below_min: 0 });
  });

  it.each([551, 68, 0, -1])('is never below 552: %i is reported', (mtu) => {
    const { paths, counters } = makePaths();
    paths.reduce(1, mtu);
    expect(paths.pathMtu(1)).toBe(552);
    expect(counters.snapshot()).toMatchObject({ ip_pmtu_below_min: 1 });
  });

  it('is that of the link where the link is narrower than 552', () => {
    const { paths } = makePaths(296);
    expect(paths.reduce(1, 100)).toBe(false);
    expect(paths.pathMtu(1)).toBe(296);
  });

  it('is forgotten when nobody has asked for 30 days', () => {
    const { paths, pass } = makePaths();
    paths.reduce(1, 1400);
    pass(30 * 24 * 3_600_000);
    expect(paths.pathMtu(1)).toBe(1500);
  });

  it.each([0, 2 ** 31 - 1000, 2 ** 32 - 1000])('is forgotten after ten minutes (from %i ms)', (start) => {
    const { paths, pass } = makePaths(1500, 1024, start);
    paths.reduce(1, 1400);
    pass(TEN_MINUTES - 1);
    expect(paths.pathMtu(1)).toBe(1400);
    pass(1);
    expect(paths.pathMtu(1)).toBe(1500);
    expect(paths.size).toBe(0);
  });

  it('is kept for as many destinations as there is room for: the oldest goes', () => {
    const { paths, pass, counters } = makePaths(1500, 3);
    for (const destination of [1, 2, 3]) {
      paths.reduce(destination, 1400);
      pass(1);
    }
    paths.reduce(1, 1300);
    paths.reduce(4, 1400);
    expect([1, 2, 3, 4].map((destination) => paths.pathMtu(destination))).toEqual([1300, 1500, 1400, 1400]);
    expect(counters.snapshot()).toMatchObject({ ip_pmtu_replaced: 1 });
    // Those whose time is over make room first.
    pass(TEN_MINUTES);
    paths.reduce(5, 1400);
    expect(paths.size).toBe(1);
    expect(counters.snapshot()).toMatchObject({ ip_pmtu_replaced: 1 });
  });
});

it.each([
  [65_535, 32_000],
  [1500, 1492],
  [1492, 1006],
  [576, 508],
  [68, 68],
  [0, 68],
])('the plateau below %i is %i', (length, plateau) => {
  expect(plateauBelow(length)).toBe(plateau);
});
