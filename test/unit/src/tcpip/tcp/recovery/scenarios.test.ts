import { describe, expect, it } from 'vitest';
import { CWND, LAST_SENT_MS, MIN_RTT, RECOVERY_BITS, SSTHRESH } from '../../../../../../src/tcpip/tcp/state/rows.js';
import { type NetworkOptions, RecoveryNetwork } from '../../../../../support/tcpip/recovery-network.js';

const MSS = 1000;
const BEGIN = 1000;

/** A network whose segment `n` (from 0) is lost in its transmissions `copies`. */
function losing(losses: Record<number, number[]>, options: NetworkOptions = {}): RecoveryNetwork {
  const iss = options.iss ?? -100_000;
  return new RecoveryNetwork({
    ...options,
    iss,
    drop: (seq, copy) => losses[((seq - iss) | 0) / MSS]?.includes(copy) ?? false,
  });
}

function retransmissions(net: RecoveryNetwork): number[] {
  return net.log.filter((segment) => segment.again).map((segment) => ((segment.seq - net.iss) | 0) / MSS);
}

function counts(net: RecoveryNetwork) {
  const {
    tcp_rto_timeouts,
    tcp_fast_recoveries,
    tcp_tlp_probes,
    tcp_tlp_repairs,
    tcp_spurious_timeouts,
    tcp_undone_recoveries,
  } = net.counters.snapshot();
  return {
    tcp_rto_timeouts,
    tcp_fast_recoveries,
    tcp_tlp_probes,
    tcp_tlp_repairs,
    tcp_spurious_timeouts,
    tcp_undone_recoveries,
  };
}

const NONE = {
  tcp_rto_timeouts: 0,
  tcp_fast_recoveries: 0,
  tcp_tlp_probes: 0,
  tcp_tlp_repairs: 0,
  tcp_spurious_timeouts: 0,
  tcp_undone_recoveries: 0,
};

describe('Recovery without loss', () => {
  it('sends everything once, and leaves no timer and no memory', () => {
    const net = losing({}, { bytes: 1_000_000 });
    expect(net.run(1e6)).toBe(true);
    expect(retransmissions(net)).toEqual([]);
    expect(counts(net)).toEqual(NONE);
    expect(net.deadline).toBeNull();
    expect(net.regions.used).toBe(0);
  });

  it('begins with ten segments and doubles cwnd per round trip', () => {
    const net = losing({}, { bytes: 70 * MSS, delay: 50 });
    net.run(1e6);
    const times = net.log.map((segment) => segment.at);
    expect(times.filter((at) => at === BEGIN)).toHaveLength(10);
    expect(times.filter((at) => at === BEGIN + 100)).toHaveLength(20);
    expect(times.filter((at) => at === BEGIN + 200)).toHaveLength(40);
  });

  it('begins with one segment after the SYN was lost, and with an RTO of 3 s', () => {
    const net = losing({ 0: [0] }, { bytes: 20 * MSS, synLost: true });
    net.run(1e6);
    expect(net.log[0]!.at).toBe(BEGIN);
    expect(net.log[1]).toMatchObject({ at: BEGIN + 3000, again: true });
  });
});

describe('Fast recovery', () => {
  for (const timestamps of [true, false]) {
    it(`repairs a loss in one round trip, timestamps ${timestamps}`, () => {
      const net = losing({ 3: [0] }, { bytes: 30 * MSS, timestamps });
      expect(net.run(1e6)).toBe(true);
      expect(retransmissions(net)).toEqual([3]);
      expect(net.log.find((segment) => segment.again)!.at).toBeLessThan(BEGIN + 30);
      expect(counts(net)).toEqual({ ...NONE, tcp_fast_recoveries: 1 });
    });
  }

  it('reduces cwnd once per window, whatever is lost in it', () => {
    const net = losing({ 12: [0], 14: [0], 17: [0], 20: [0] }, { bytes: 60 * MSS });
    expect(net.run(1e6)).toBe(true);
    expect(retransmissions(net)).toEqual([12, 14, 17, 20]);
    expect(counts(net)).toEqual({ ...NONE, tcp_fast_recoveries: 1 });
  });

  it('finds a lost retransmission without a timeout', () => {
    const net = losing({ 3: [0, 1, 2] }, { bytes: 100 * MSS });
    expect(net.run(1e6)).toBe(true);
    expect(retransmissions(net)).toEqual([3, 3, 3]);
    expect(counts(net)).toMatchObject({ tcp_rto_timeouts: 0 });
    expect(net.counters.values[net.counters.index.tcp_lost_retransmissions]).toBe(2);
  });

  it('finds a loss from a single SACKed segment by the reordering timer', () => {
    const net = losing({ 0: [0] }, { bytes: 2 * MSS, delay: 40 });
    expect(net.run(1e6)).toBe(true);
    expect(counts(net)).toEqual({ ...NONE, tcp_fast_recoveries: 1 });
    // The SACK comes after 80 ms, and RACK.reo_wnd is a quarter of the least round trip time.
    expect(net.log[2]).toMatchObject({ at: BEGIN + 100, again: true });
  });

  it('works without SACK: three duplicate ACKs, then partial ACKs', () => {
    const net = losing({ 12: [0], 14: [0], 17: [0] }, { bytes: 60 * MSS, sack: false });
    expect(net.run(1e6)).toBe(true);
    expect(retransmissions(net)).toEqual([12, 14, 17]);
    expect(counts(net)).toEqual({ ...NONE, tcp_fast_recoveries: 1 });
  });

  it('comes to ssthresh at its end', () => {
    const net = losing({ 40: [0], 50: [0] }, { bytes: 75 * MSS, window: 1 << 20 });
    let cwnd = 0;
    net.check = () => {
      const { recovery } = net.recovery.info(net.r);
      if (recovery === 'recovery') cwnd = net.rows.i32[net.r + SSTHRESH]!;
    };
    expect(net.run(1e6)).toBe(true);
    expect(cwnd).toBeGreaterThan(20 * MSS);
    expect(net.cwnd).toBeGreaterThanOrEqual(cwnd);
    expect(net.cwnd).toBeLessThan(cwnd + 5 * MSS);
  });
});

describe('Tail loss probe', () => {
  it('comes after two round trips and repairs the last segment', () => {
    const net = losing({ 9: [0] }, { bytes: 10 * MSS, delay: 50 });
    expect(net.run(1e6)).toBe(true);
    expect(net.log[10]).toMatchObject({ again: true });
    // One segment is in flight: 2 * SRTT + 200 ms for a delayed ACK, but not later than the RTO of SRTT + 200 ms.
    expect(net.log[10]!.at).toBe(BEGIN + 100 + 300);
    expect(counts(net)).toMatchObject({ tcp_rto_timeouts: 0, tcp_tlp_probes: 1 });
  });

  it('finds several lost segments at the end', () => {
    const net = losing({ 7: [0], 8: [0], 9: [0] }, { bytes: 10 * MSS, delay: 50 });
    expect(net.run(1e6)).toBe(true);
    expect(retransmissions(net)).toEqual([9, 7, 8]);
    expect(net.log[10]!.at).toBeLessThanOrEqual(BEGIN + 100 + 209);
    expect(counts(net)).toMatchObject({ tcp_rto_timeouts: 0, tcp_tlp_probes: 1, tcp_fast_recoveries: 1 });
  });

  it('counts a loss that it has repaired when later data is acknowledged', () => {
    const net = losing({ 9: [0] }, { bytes: 10 * MSS, delay: 50 });
    net.run(1e6);
    const before = net.cwnd;
    net.write(MSS);
    net.run(1e6);
    expect(counts(net)).toMatchObject({ tcp_tlp_repairs: 1 });
    expect(net.cwnd).toBeLessThan(before);
  });

  it('sends new data if there is some, although cwnd is full', () => {
    const drop = new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const net = losing(Object.fromEntries([...drop].map((n) => [n, [0]])), { bytes: 12 * MSS, delay: 50 });
    expect(net.run(1e6)).toBe(true);
    expect(net.log[10]).toMatchObject({ again: false });
    expect(counts(net)).toMatchObject({ tcp_rto_timeouts: 0, tcp_tlp_probes: 1, tcp_fast_recoveries: 1 });
  });

  it('does not probe busily when round trips are far below the tick', () => {
    const net = losing({ 1: [0, 1, 2] }, { bytes: 2 * MSS, delay: 0.02 });
    expect(net.run(1e6)).toBe(true);
    expect(net.counters.values[net.counters.index.tcp_tlp_probes]).toBe(1);
    expect(net.log.length).toBeLessThan(7);
  });
});

describe('Timeout', () => {
  it('doubles the RTO, and ends the backoff with the first RTT sample', () => {
    const net = losing({ 0: [0, 1, 2, 3, 4] }, { bytes: MSS, delay: 50, sack: false });
    expect(net.run(1e6)).toBe(true);
    const gaps = net.log.map((segment, i) => segment.at - (net.log[i - 1]?.at ?? BEGIN));
    const first = gaps[1]!;
    expect(first).toBeGreaterThanOrEqual(300);
    expect(first).toBeLessThanOrEqual(301);
    for (let i = 2; i < gaps.length; i++) expect(Math.abs(gaps[i]! - gaps[i - 1]! * 2)).toBeLessThanOrEqual(2);
    net.write(MSS);
    net.run(1e6);
    expect(net.recovery.info(net.r).rto).toBeLessThan(first + 50);
    expect(net.recovery.timeouts(net.r)).toBe(0);
  });

  it('never waits longer than 120 s', () => {
    const net = losing({ 0: Array.from({ length: 14 }, (_, i) => i) }, { bytes: MSS });
    expect(net.run(1e8)).toBe(true);
    const gaps = net.log.slice(1).map((segment, i) => segment.at - net.log[i]!.at);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(120_001);
    expect(Math.max(...gaps)).toBeGreaterThanOrEqual(120_000);
  });

  it('sends one segment, and reduces ssthresh once for the same data', () => {
    const all = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [i, [0]]));
    const net = losing({ ...all, 0: [0, 1, 2] }, { bytes: 10 * MSS, sack: false });
    const seen = new Set<number>();
    net.check = () => {
      if (net.recovery.timeouts(net.r) > 0) {
        expect(net.rows.i32[net.r + CWND]).toBe(MSS);
        seen.add(net.rows.i32[net.r + SSTHRESH]!);
      }
    };
    expect(net.run(1e6)).toBe(true);
    expect([...seen]).toEqual([7 * MSS]);
  });

  it('sends only once what arrived, because SACK marks are kept', () => {
    // The retransmission is lost and nothing else is on its way: only a timeout helps.
    const net = losing({ 0: [0, 1] }, { bytes: 5 * MSS });
    expect(net.run(1e6)).toBe(true);
    expect(counts(net)).toMatchObject({ tcp_rto_timeouts: 1 });
    expect(retransmissions(net)).toEqual([0, 0]);
  });
});

describe('Unnecessary recovery', () => {
  /** All segments that are sent within the given time are held up until its end. */
  function pause(from: number, to: number, options: NetworkOptions): RecoveryNetwork {
    const net: RecoveryNetwork = new RecoveryNetwork({
      bytes: 300 * MSS,
      window: 40 * MSS,
      ...options,
      jitter: () => (net.now >= from && net.now < to ? to - net.now : 0),
    });
    return net;
  }

  for (const [name, options] of [
    ['Eifel detection with timestamps', { timestamps: true, dsack: false }],
    ['F-RTO with SACK', { timestamps: false, dsack: false }],
    ['F-RTO without SACK', { timestamps: false, sack: false, dsack: false }],
  ] as const) {
    it(`undoes a spurious timeout: ${name}`, () => {
      const net = pause(BEGIN + 95, BEGIN + 800, { ...options, delay: 10 });
      const most = { cwnd: 0 };
      net.check = () => {
        if (net.now < BEGIN + 95) most.cwnd = net.cwnd;
      };
      expect(net.run(1e6)).toBe(true);
      expect(counts(net).tcp_spurious_timeouts).toBe(1);
      // Two segments went out again at most: the first one per timeout, and the probe.
      expect(retransmissions(net).length).toBeLessThanOrEqual(5);
      expect(net.cwnd).toBeGreaterThanOrEqual(most.cwnd / 2);
    });
  }

  it('undoes a fast recovery after the D-SACK of its only retransmission', () => {
    const net: RecoveryNetwork = new RecoveryNetwork({
      bytes: 60 * MSS,
      delay: 40,
      timestamps: false,
      jitter: (seq, copy) => (((seq - net.iss) | 0) / MSS === 12 && copy === 0 ? 60 : 0),
    });
    expect(net.run(1e6)).toBe(true);
    expect(counts(net)).toMatchObject({ tcp_fast_recoveries: 1, tcp_undone_recoveries: 1, tcp_rto_timeouts: 0 });
    expect(net.recovery.info(net.r)).toMatchObject({
      slowStartThreshold: Number.POSITIVE_INFINITY,
      reordering: true,
    });
  });

  it('waits longer once segments were seen to overtake each other', () => {
    // Every tenth segment is late by less than a quarter of the round trip.
    const net: RecoveryNetwork = new RecoveryNetwork({
      bytes: 400 * MSS,
      delay: 40,
      window: 30 * MSS,
      jitter: (seq, copy) => ((((seq - net.iss) | 0) / MSS) % 10 === 5 && copy === 0 ? 15 : 0),
    });
    expect(net.run(1e6)).toBe(true);
    expect(counts(net)).toMatchObject({ tcp_rto_timeouts: 0 });
    expect(counts(net).tcp_fast_recoveries).toBeLessThanOrEqual(2);
    expect(counts(net).tcp_undone_recoveries).toBe(counts(net).tcp_fast_recoveries);
  });
});

describe('Other events', () => {
  it('a smaller MTU makes longer segments lost, without a reduction', () => {
    const net = losing(Object.fromEntries(Array.from({ length: 10 }, (_, i) => [i, [0]])), { bytes: 10 * MSS });
    net.run(BEGIN + 5);
    const before = net.cwnd;
    net.reduceMtu(600);
    expect(net.run(1e6)).toBe(true);
    expect(counts(net)).toMatchObject({ tcp_rto_timeouts: 0, tcp_fast_recoveries: 0 });
    expect(net.cwnd).toBeGreaterThanOrEqual(before);
    expect(Math.max(...net.log.slice(10).map((segment) => (segment.end - segment.seq) | 0))).toBe(600);
  });

  it('ECE reduces cwnd once per window', () => {
    const net = losing({}, { bytes: 200 * MSS, delay: 50 });
    net.run(BEGIN + 150);
    const before = net.cwnd;
    net.recovery.ecnEcho(net.r);
    const after = net.cwnd;
    expect(after).toBe(Math.floor(before * 0.7));
    net.recovery.ecnEcho(net.r);
    expect(net.cwnd).toBe(after);
    net.run(BEGIN + 350);
    net.recovery.ecnEcho(net.r);
    expect(net.cwnd).toBeLessThan(after);
  });

  it('cwnd falls to the initial window while nothing is sent', () => {
    const net = losing({}, { bytes: 300 * MSS, delay: 50 });
    net.run(1e6);
    const before = net.cwnd;
    expect(before).toBeGreaterThan(100 * MSS);
    net.now += 60_000;
    net.write(200 * MSS);
    expect(net.log.filter((segment) => segment.at === net.now)).toHaveLength(10);
    expect(net.rows.i32[net.r + LAST_SENT_MS]).toBe(net.clock.ms);
  });

  it('cwnd does not grow while the application sends less', () => {
    const net = losing({}, { bytes: MSS, delay: 50 });
    net.run(1e6);
    for (let i = 0; i < 50; i++) {
      net.write(2 * MSS);
      net.run(1e9);
    }
    expect(net.cwnd).toBe(10 * MSS);
  });

  it('a segment is refused when there is no memory, and nothing breaks', () => {
    const net = losing({}, { bytes: 400 * MSS, memory: 1024 });
    expect(net.run(1e6)).toBe(true);
    expect(net.counters.values[net.counters.index.tcp_sent_ring_no_memory]).toBeGreaterThan(0);
    expect(net.regions.used).toBe(0);
  });

  it('forgets SACK marks when the receiver drops what it had SACKed', () => {
    const net = losing({ 0: [0, 1, 2] }, { bytes: 8 * MSS });
    net.run(BEGIN + 25);
    expect(net.sums().sacked).toBe(7 * MSS);
    net.renege();
    expect(net.run(1e6)).toBe(true);
    expect(net.counters.values[net.counters.index.tcp_sack_reneging]).toBe(1);
    expect(new Set(retransmissions(net))).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7]));
  });

  it('measures the least round trip time', () => {
    const net = losing({}, { bytes: 100 * MSS, delay: 25, jitter: (seq) => (seq % 3 === 0 ? 7 : 0) });
    net.run(1e6);
    expect(net.rows.i32[net.r + MIN_RTT]).toBe(50_000);
    expect(net.rows.i32[net.r + RECOVERY_BITS]! & 3).toBe(0);
  });
});
