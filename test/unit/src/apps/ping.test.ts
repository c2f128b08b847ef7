/**
 * Pinger and UDP probe with echo as the peer: they count what is lost, damaged or doubled. And the table of requests
 * without an answer yet.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDemux } from '../../../../src/apps/demux.js';
import { Echo } from '../../../../src/apps/echo.js';
import { MAX_OUTSTANDING, NOT_WAITING, Outstanding } from '../../../../src/apps/outstanding.js';
import { Pinger } from '../../../../src/apps/pinger.js';
import { UdpProbe } from '../../../../src/apps/udp-probe.js';
import { parseIpv4 } from '../../../../src/wire/address.js';
import { PEER_IP, PEER_MAC } from '../../../support/link/frames.js';
import { expectNoBufferLost, makeCore } from '../../../support/link/test-core.js';
import { Wire } from '../../../support/link/wire-between-cores.js';

describe('outstanding requests', () => {
  it('behave as a map of send times', () => {
    const step = fc.record({ act: fc.constantFrom('send', 'answer', 'find', 'expire'), number: fc.nat(2000) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const requests = new Outstanding(50);
        const model = new Map<number, number>();
        let now = 0;
        for (const { act, number } of steps) {
          now += 1;
          if (act === 'send') {
            model.set(requests.next, now);
            requests.sent(now);
          } else if (act === 'find') {
            expect(requests.find(number)).toBe(model.has(number) ? number : NOT_WAITING);
          } else if (act === 'answer') {
            const sent = model.get(number % 64);
            expect(requests.answered(number % 64, now)).toBe(sent === undefined ? NOT_WAITING : now - sent);
            model.delete(number % 64);
          } else {
            const late = [...model].find(([, sent]) => now - sent >= 50)?.[0] ?? NOT_WAITING;
            expect(requests.expire(now)).toBe(late);
            model.delete(late);
          }
          expect(requests.count).toBe(model.size);
        }
      }),
    );
  });

  it('find numbers beyond 16 bits by their low bits, and know when they are full', () => {
    const requests = new Outstanding(10);
    for (let number = 0; number < 70_000; number++) {
      requests.sent(number);
      const found = requests.find(number & 0xffff);
      if (found !== number) expect(found).toBe(number);
      requests.answered(number, number);
      requests.expire(number);
    }
    expect(requests.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    for (let i = 0; i < MAX_OUTSTANDING; i++) requests.sent(0);
    expect(requests.hasRoom).toBe(false);
    expect(requests.expire(10)).toBe(70_000);
    expect(requests.hasRoom).toBe(true);
  });
});

describe('pinger and probe against echo', () => {
  function endpoints() {
    const a = makeCore();
    const b = makeCore({ address: parseIpv4(PEER_IP) }, { mac: PEER_MAC });
    const wire = new Wire(a, b);
    const clock = () => a.time.now;
    const echoes = createDemux(b.core, [new Echo(b.core)]);
    /** Lets both run for `ms`. */
    const run = (stack: { poll(): number }, ms: number): void => {
      for (let i = 0; i < ms; i++) {
        stack.poll();
        a.core.flush();
        wire.carry();
        echoes.poll();
        b.core.flush();
        wire.carry();
        stack.poll();
        a.pass(1);
        b.pass(1);
      }
    };
    return { a, b, wire, clock, run };
  }

  it('pings at the interval, and keeps the times', () => {
    const { a, b, clock, run } = endpoints();
    const replies: number[][] = [];
    const pinger = new Pinger(a.core, {
      to: PEER_IP,
      count: 5,
      intervalMs: 100,
      clock,
      onReply: (sequence, _ms, ttl, length) => replies.push([sequence, ttl, length]),
    });
    const stack = createDemux(a.core, [pinger, new Echo(a.core)]);
    run(stack, 250);
    expect(pinger.isDone).toBe(false);
    expect(pinger.report()).toMatchObject({ ping_sent: 3, ping_received: 3 });
    run(stack, 300);
    expect(pinger.isDone).toBe(true);
    expect(replies).toEqual([1, 2, 3, 4, 5].map((sequence) => [sequence, 64, 64]));
    expect(pinger.report()).toEqual({
      ping_sent: 5,
      ping_received: 5,
      ping_lost: 0,
      ping_corrupt: 0,
      ping_unexpected: 0,
    });
    const times = pinger.roundTrips()!;
    expect(times.minUs).toBeLessThanOrEqual(times.p50Us);
    expect(times.p50Us).toBeLessThanOrEqual(times.maxUs);
    expectNoBufferLost(a);
    expectNoBufferLost(b);
  });

  it('pings without interval one by one, and counts lost, damaged and doubled replies', () => {
    const { a, wire, clock, run } = endpoints();
    const lost: number[] = [];
    const pinger = new Pinger(a.core, {
      to: PEER_IP,
      count: 10,
      intervalMs: 0,
      timeoutMs: 20,
      payloadBytes: 8,
      clock,
      onLost: (sequence) => lost.push(sequence),
    });
    let replies = 0;
    wire.mangle = (frame) => {
      const isReply = frame.length === 50 && frame[34] === 0;
      if (!isReply) return frame;
      replies++;
      if (replies === 2) return null;
      if (replies === 4) frame[45]! ^= 1;
      if (replies === 6) a.device.inject(frame);
      return frame;
    };
    run(createDemux(a.core, [pinger]), 100);
    expect(lost).toEqual([2, 4]);
    expect(pinger.report()).toEqual({
      ping_sent: 10,
      ping_received: 8,
      ping_lost: 2,
      ping_corrupt: 1,
      ping_unexpected: 1,
    });
  });

  it('shows the number that is on the wire, from 1 on, also beyond 16 bits', () => {
    const { a, wire, clock, run } = endpoints();
    const sent: number[] = [];
    const told: number[] = [];
    wire.mangle = (frame) => {
      if (frame[23] === 1 && frame[34] === 8) sent.push((frame[40]! << 8) | frame[41]!);
      return frame;
    };
    const onReply = (sequence: number): number => told.push(sequence);
    const pinger = new Pinger(a.core, { to: PEER_IP, count: 65_540, intervalMs: 0, payloadBytes: 0, clock, onReply });
    run(createDemux(a.core, [pinger]), 65_600);
    expect(pinger.report()).toMatchObject({ ping_sent: 65_540, ping_received: 65_540 });
    expect(told).toEqual(sent);
    expect(sent.slice(0, 3)).toEqual([1, 2, 3]);
    expect(sent.slice(65_533, 65_538)).toEqual([65_534, 65_535, 0, 1, 2]);
  });

  it.each([
    ['ARP', 1, 2000],
    ['the echo', 2, 2000],
    ['the echo', 1, 5000],
  ])('keeps its interval when nobody answers %s', (what, intervalMs, timeoutMs) => {
    const { a, wire, clock, run } = endpoints();
    wire.mangle = (frame) => (what === 'ARP' || frame[23] === 1 ? null : frame);
    const pinger = new Pinger(a.core, { to: PEER_IP, intervalMs, timeoutMs, clock });
    const stack = createDemux(a.core, [pinger]);
    run(stack, timeoutMs + 1000);
    expect(pinger.report().ping_sent).toBe((timeoutMs + 1000) / intervalMs);
    expect(stack.maxSleepMs!()).toBeLessThanOrEqual(intervalMs);
  });

  it('loses no ping that is due before ARP is answered', () => {
    const { a, wire, clock, run } = endpoints();
    const start = clock();
    wire.mangle = (frame) => (frame[13] === 6 && clock() - start < 500 ? null : frame);
    const pinger = new Pinger(a.core, { to: PEER_IP, intervalMs: 1, count: 1500, timeoutMs: 5000, clock });
    run(createDemux(a.core, [pinger]), 500);
    expect(pinger.report()).toMatchObject({ ping_sent: 500, ping_received: 0 });
    run(createDemux(a.core, [pinger]), 2000);
    expect(pinger.report()).toMatchObject({ ping_sent: 1500, ping_received: 1500 });
    expect(a.core.counters()).toMatchObject({ tx_drop_park_full: 0, tx_drop_unresolved: 0 });
    expectNoBufferLost(a);
  });

  it('gives up when ARP is not answered', () => {
    const { a, wire, clock, run } = endpoints();
    wire.mangle = () => null;
    const pinger = new Pinger(a.core, { to: PEER_IP, count: 2, intervalMs: 10, timeoutMs: 50, clock });
    run(createDemux(a.core, [pinger]), 100);
    expect(pinger.isDone).toBe(true);
    expect(pinger.report()).toMatchObject({ ping_sent: 2, ping_lost: 2 });
    expect(pinger.roundTrips()).toBeNull();
  });

  it('says when it wants to be called again', () => {
    const { a, clock, run } = endpoints();
    const pinger = new Pinger(a.core, { to: PEER_IP, intervalMs: 100, timeoutMs: 1000, clock });
    const stack = createDemux(a.core, [pinger]);
    expect(stack.maxSleepMs!()).toBe(0);
    run(stack, 40);
    expect(stack.maxSleepMs!()).toBe(60);
  });

  it('sends datagrams of all sizes, one window at a time, and gets them back intact', () => {
    const { a, b, clock, run } = endpoints();
    const probe = new UdpProbe(a.core, { to: PEER_IP, count: 500, window: 8, clock });
    const pinger = new Pinger(a.core, { to: PEER_IP, count: 3, intervalMs: 1, clock });
    const lengths = new Set<number>();
    const add = a.core.addBufferToRing.bind(a.core);
    a.core.addBufferToRing = (buffer) => {
      lengths.add(buffer.length);
      return add(buffer);
    };
    run(createDemux(a.core, [pinger, probe, new Echo(a.core)]), 100);
    expect(probe.isDone && pinger.isDone).toBe(true);
    expect(probe.report()).toMatchObject({ probe_sent: 500, probe_received: 500, probe_lost: 0, probe_corrupt: 0 });
    expect(Math.min(...lengths)).toBeLessThan(100);
    expect(Math.max(...lengths)).toBeGreaterThan(1400);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(1500);
    expectNoBufferLost(a);
    expectNoBufferLost(b);
  });

  it('notices a damaged byte behind a right checksum, a lost and a doubled datagram', () => {
    const { a, wire, clock, run } = endpoints();
    const probe = new UdpProbe(a.core, { to: PEER_IP, count: 20, window: 1, minBytes: 60, timeoutMs: 30, clock });
    let echoes = 0;
    wire.mangle = (frame) => {
      if (frame[23] !== 17 || frame[29] !== 2) return frame;
      echoes++;
      if (echoes === 3) return null;
      if (echoes === 5) {
        frame[60]! ^= 1;
        frame[40] = 0;
        frame[41] = 0;
      }
      if (echoes === 7) a.device.inject(frame);
      return frame;
    };
    run(createDemux(a.core, [probe]), 200);
    expect(probe.report()).toMatchObject({
      probe_sent: 20,
      probe_received: 18,
      probe_lost: 2,
      probe_corrupt: 1,
      probe_unexpected: 1,
    });
  });

  it('refuses impossible sizes', () => {
    const { core } = makeCore();
    expect(() => new Pinger(core, { to: PEER_IP, payloadBytes: 1473 })).toThrow('0 to 1472 are possible');
    expect(() => new UdpProbe(core, { to: PEER_IP, maxBytes: 1473 })).toThrow('4 to 1472 are possible');
    expect(() => new UdpProbe(core, { to: PEER_IP, window: 2000 })).toThrow('a window of 2000; possible are 1 to 1024');
  });
});
