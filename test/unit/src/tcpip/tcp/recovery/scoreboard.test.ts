import { describe, expect, it } from 'vitest';
import { Clock } from '../../../../../../src/tcpip/clock.js';
import { createTcpCounters } from '../../../../../../src/tcpip/tcp/counters.js';
import { Recovery } from '../../../../../../src/tcpip/tcp/recovery/recovery.js';
import { RegionPool } from '../../../../../../src/tcpip/tcp/state/regions.js';
import {
  FLAG_SACK,
  FLAGS,
  LOST_BYTES,
  MSS,
  PIPE,
  ROW_WORDS,
  Rows,
  SACKED_BYTES,
  SACKED_SEGMENTS,
  SND_NXT,
  SND_UNA,
} from '../../../../../../src/tcpip/tcp/state/rows.js';
import { SackBlocks } from '../../../../../../src/tcpip/tcp/state/sack-blocks.js';

const R = ROW_WORDS;
const M = 100;

/** A sender with `count` segments of 100 bytes in flight, which were sent 1 ms after each other. */
function sender(count: number, flags = FLAG_SACK, iss = 0) {
  const rows = new Rows(2);
  const { i32 } = rows;
  let now = 10_000;
  const clock = new Clock(() => now);
  const counters = createTcpCounters();
  const recovery = new Recovery({
    rows,
    clock,
    counters,
    regions: new RegionPool(1 << 24),
    wheel: { set() {}, clear() {} },
  });
  i32[R + SND_UNA] = i32[R + SND_NXT] = iss;
  i32[R + MSS] = M;
  i32[R + FLAGS] = flags;
  recovery.open(R, false);
  recovery.handshakeRtt(R, 40_000);
  for (let n = 0; n < count; n++) {
    recovery.sent(R, (iss + n * M) | 0, M, 1);
    i32[R + SND_NXT] = (iss + (n + 1) * M) | 0;
    now += 1;
    clock.read();
  }
  now += 40 - count;
  clock.read();
  const blocks = new SackBlocks();
  return {
    i32,
    recovery,
    counters,
    tick(ms: number): void {
      now += ms;
      clock.read();
    },
    /** An ACK up to segment `ack` with SACK blocks in segments, `[from, to)`. */
    ack(ack: number, ...sacks: [number, number][]): number {
      blocks.count = 0;
      for (const [from, to] of sacks) blocks.add((iss + from * M) | 0, (iss + to * M) | 0);
      const bytes = recovery.acked(R, (iss + ack * M) | 0, blocks, false, 0, 0, false);
      i32[R + SND_UNA] = (iss + ack * M) | 0;
      return bytes;
    },
    sums: () => ({
      pipe: i32[R + PIPE]! / M,
      lost: i32[R + LOST_BYTES]! / M,
      sacked: i32[R + SACKED_BYTES]! / M,
      segments: i32[R + SACKED_SEGMENTS],
    }),
    lost(): number[] {
      const list: number[] = [];
      for (;;) {
        const record = recovery.nextLost(R);
        if (record < 0) return list;
        list.push(((recovery.recordSeq(R, record) - iss) | 0) / M);
        recovery.resent(R, record);
      }
    },
  };
}

describe('Scoreboard', () => {
  for (const iss of [0, 0x7fffffff - 550]) {
    it(`keeps the sums of cumulative ACKs and SACK blocks, from ${iss}`, () => {
      const s = sender(20, FLAG_SACK, iss);
      expect(s.sums()).toEqual({ pipe: 20, lost: 0, sacked: 0, segments: 0 });
      expect(s.ack(2)).toBe(2 * M);
      expect(s.sums()).toEqual({ pipe: 18, lost: 0, sacked: 0, segments: 0 });
      s.ack(2, [5, 6]);
      expect(s.sums()).toEqual({ pipe: 17, lost: 0, sacked: 1, segments: 1 });
      // The same block again says nothing new.
      s.ack(2, [5, 6]);
      expect(s.sums().sacked).toBe(1);
      s.ack(2, [9, 10], [5, 6]);
      expect(s.sums()).toMatchObject({ sacked: 2, segments: 2 });
      // An old ACK number, below SND.UNA of the blocks, and a block that joins two.
      s.ack(10);
      expect(s.sums()).toEqual({ pipe: 10, lost: 0, sacked: 0, segments: 0 });
      expect(s.ack(20)).toBe(10 * M);
      expect(s.sums()).toEqual({ pipe: 0, lost: 0, sacked: 0, segments: 0 });
    });
  }

  it('marks everything before three SACKed segments, as RFC 6675, 4 does with IsLost', () => {
    const s = sender(10);
    s.ack(0, [3, 4]);
    s.ack(0, [3, 5]);
    expect(s.sums().lost).toBe(0);
    s.ack(0, [3, 6]);
    expect(s.sums()).toEqual({ pipe: 4, lost: 3, sacked: 3, segments: 3 });
    expect(s.lost()).toEqual([0, 1, 2]);
    expect(s.sums()).toEqual({ pipe: 7, lost: 0, sacked: 3, segments: 3 });
  });

  it('takes blocks that are not contiguous for three segments, too', () => {
    const s = sender(12);
    s.ack(0, [1, 2]);
    s.ack(0, [5, 6], [1, 2]);
    s.ack(0, [9, 10], [5, 6], [1, 2]);
    expect(s.lost()).toEqual([0, 2, 3, 4, 6, 7, 8]);
  });

  it('a partial ACK and a new loss are handled in one recovery', () => {
    const s = sender(10);
    s.ack(0, [1, 2]);
    s.ack(0, [1, 3]);
    s.ack(0, [1, 4]);
    expect(s.lost()).toEqual([0]);
    s.tick(40);
    s.ack(4, [5, 10]);
    expect(s.lost()).toEqual([4]);
    expect(s.recovery.info(R).recovery).toBe('recovery');
    s.tick(40);
    s.ack(10);
    expect(s.recovery.info(R).recovery).toBe('open');
    expect(s.counters.values[s.counters.index.tcp_fast_recoveries]).toBe(1);
  });

  it('an ACK within a segment leaves the rest of it', () => {
    const s = sender(3);
    s.i32[R + MSS] = M;
    const blocks = new SackBlocks();
    expect(s.recovery.acked(R, 130, blocks, false, 0, 0, false)).toBe(130);
    s.i32[R + SND_UNA] = 130;
    expect(s.i32[R + PIPE]).toBe(170);
    expect(s.recovery.recordSeq(R, 1)).toBe(130);
  });

  it('a SACK block counts only segments that it covers wholly', () => {
    const s = sender(6);
    const blocks = new SackBlocks();
    blocks.add(150, 350);
    s.recovery.acked(R, 0, blocks, false, 0, 0, false);
    expect(s.sums()).toMatchObject({ sacked: 1, segments: 1 });
  });

  it('ignores blocks that are turned round, not sent, or below the ACK', () => {
    const s = sender(6);
    s.ack(1, [4, 3], [2, 2], [2, 9]);
    s.ack(1, [-5, 0], [0, 3]);
    expect(s.sums()).toEqual({ pipe: 5, lost: 0, sacked: 0, segments: 0 });
    expect(s.counters.values[s.counters.index.tcp_sack_blocks_ignored]).toBeGreaterThan(0);
  });

  it('recognises D-SACKs below the ACK and within the second block (RFC 2883, 4)', () => {
    const s = sender(10);
    const seen = () => s.counters.values[s.counters.index.tcp_dsacks_received];
    s.ack(4, [2, 3]);
    expect(seen()).toBe(1);
    s.ack(4, [6, 7], [5, 8]);
    expect(seen()).toBe(2);
    expect(s.sums().sacked).toBe(3);
    s.ack(4, [5, 8]);
    expect(seen()).toBe(2);
  });

  it('an ACK that closes a gap and opens another is no reordering', () => {
    const s = sender(10);
    // Segments 0 to 3 are acknowledged late, together with the SACK of 6.
    s.ack(4, [6, 7]);
    expect(s.recovery.info(R).reordering).toBe(false);
    s.ack(4, [4, 5], [6, 7]);
    expect(s.recovery.info(R).reordering).toBe(true);
  });

  it('without SACK, each duplicate ACK takes a segment out of the pipe', () => {
    const s = sender(10, 0);
    s.ack(0);
    s.ack(0);
    expect(s.recovery.scoreboard.pipe(R)).toBe(8 * M);
    s.ack(0);
    expect(s.lost()).toEqual([0]);
    // However many come, one segment is still missing.
    for (let i = 0; i < 50; i++) s.ack(0);
    expect(s.sums().segments).toBe(9);
  });
});

describe('RACK', () => {
  it('finds the loss before a single later segment (RFC 8985, 9.1, example 1)', () => {
    const s = sender(3);
    // P1 and P3 are lost; P2 is SACKed. reo_wnd is 10 ms, P1 was sent 1 ms before P2.
    s.ack(0, [1, 2]);
    expect(s.lost()).toEqual([]);
    s.tick(10);
    s.ack(0, [1, 2]);
    expect(s.lost()).toEqual([0]);
    // R1 is acknowledged: P3 was sent long before it.
    s.tick(41);
    s.ack(2);
    expect(s.lost()).toEqual([2]);
  });

  it('finds a lost retransmission (RFC 8985, 9.1, example 2)', () => {
    const s = sender(5);
    s.ack(0, [2, 4]);
    s.ack(0, [2, 5]);
    const first = s.recovery.nextLost(R);
    s.recovery.resent(R, first);
    s.tick(1);
    const second = s.recovery.nextLost(R);
    s.recovery.resent(R, second);
    s.tick(41);
    // R2 arrives, R1 does not.
    s.ack(0, [1, 5]);
    expect(s.lost()).toEqual([0]);
    expect(s.counters.values[s.counters.index.tcp_lost_retransmissions]).toBe(1);
  });

  it('does not take a segment for lost that was sent in the same poll before', () => {
    const s = sender(4);
    s.ack(0, [1, 4]);
    // The retransmission goes out after new data, in the same poll.
    s.recovery.sent(R, 4 * M, M, 1);
    s.i32[R + SND_NXT] = 5 * M;
    expect(s.lost()).toEqual([0]);
    s.tick(40);
    s.ack(0, [1, 5]);
    expect(s.lost()).toEqual([]);
  });

  it('ignores a retransmission acknowledged within a round trip (6.2, step 2)', () => {
    const s = sender(6);
    s.ack(0, [1, 4]);
    expect(s.lost()).toEqual([0]);
    s.tick(3);
    // The original of 0 comes after all: nothing that was sent before the retransmission is lost.
    s.ack(4);
    expect(s.lost()).toEqual([]);
  });

  it('waits longer after D-SACKs, one quarter of the least round trip per round', () => {
    const s = sender(40);
    const window = () => {
      // @ts-expect-error the part is private
      return s.recovery.rack.window(R) as number;
    };
    const quarters = () => window() / ((s.recovery.info(R).minRtt * 1000) / 4);
    s.ack(2);
    expect(quarters()).toBe(1);
    s.ack(3, [1, 2]);
    s.ack(4, [2, 3]);
    expect(quarters()).toBe(2);
    // The round ends when what was in flight is acknowledged.
    s.ack(40, [3, 4]);
    s.recovery.sent(R, 40 * M, M, 1);
    s.i32[R + SND_NXT] = 41 * M;
    s.ack(40, [4, 5]);
    expect(quarters()).toBeGreaterThan(2);
  });
});
