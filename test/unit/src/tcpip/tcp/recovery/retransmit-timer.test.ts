import { beforeEach, describe, expect, it } from 'vitest';
import { RACK_WAITS } from '../../../../../../src/tcpip/tcp/recovery/bits.js';
import { RetransmitTimer } from '../../../../../../src/tcpip/tcp/recovery/retransmit-timer.js';
import { countTimeout, createRttHistogram, sampleRtt } from '../../../../../../src/tcpip/tcp/recovery/rtt.js';
import { SentRing } from '../../../../../../src/tcpip/tcp/recovery/sent-ring.js';
import { noteProbe } from '../../../../../../src/tcpip/tcp/recovery/tlp.js';
import { RegionPool } from '../../../../../../src/tcpip/tcp/state/regions.js';
import {
  FLAG_PERSIST,
  FLAG_SACK,
  FLAGS,
  RACK_DUE_US,
  RECOVERY_BITS,
  RTO_FROM_US,
  SACKED_SEGMENTS,
} from '../../../../../../src/tcpip/tcp/state/rows.js';
import { senderRow } from '../../../../../support/tcpip/sender-row.js';

/** Timer RETRANSMIT of row 1. */
const ID = 4;
let row: ReturnType<typeof senderRow>;
let ring: SentRing;
let timer: RetransmitTimer;
let deadlines: Map<number, number>;

/** `count` segments are sent now, and both timers begin. */
function send(count: number): void {
  ring.append(row.r, 0, 1000, count, row.clock.us, row.clock.ms);
  timer.restart(row.r);
  timer.restartProbe(row.r);
}

/** In how many ms from now the timer fires. */
function armed(): number | undefined {
  timer.rearm(row.r);
  const deadline = deadlines.get(ID);
  return deadline === undefined ? undefined : deadline - row.clock.ms;
}

describe('RetransmitTimer', () => {
  beforeEach(() => {
    row = senderRow(1000, FLAG_SACK);
    ring = new SentRing(row.rows, new RegionPool(1 << 20));
    ring.open(row.r);
    deadlines = new Map();
    timer = new RetransmitTimer(row.rows, ring, row.clock, {
      set: (id, deadline) => deadlines.set(id, deadline),
      clear: (id) => deadlines.delete(id),
    });
  });

  it('waits for the RTO as long as no round trip is known', () => {
    send(3);
    expect(armed()).toBe(1000);
  });

  it('waits for two round trips and 8 ms with several segments (RFC 8985, 7.2)', () => {
    sampleRtt(row.i32, row.f64, row.r, 50_000, 0, createRttHistogram());
    send(3);
    expect(armed()).toBe(108);
  });

  it('a single segment may be acknowledged 200 ms late; but the RTO is the limit', () => {
    sampleRtt(row.i32, row.f64, row.r, 50_000, 0, createRttHistogram());
    send(1);
    expect(armed()).toBe(250);
    sampleRtt(row.i32, row.f64, row.r, 500_000, 0, createRttHistogram());
    // SRTT 106 ms, RTTVAR 131 ms
    expect(armed()).toBe(413);
  });

  it('waits for the RTO without SACK, after a probe, and with SACKed segments', () => {
    sampleRtt(row.i32, row.f64, row.r, 50_000, 0, createRttHistogram());
    send(3);
    row.i32[row.r + FLAGS] = 0;
    expect(armed()).toBe(250);
    row.i32[row.r + FLAGS] = FLAG_SACK;
    row.i32[row.r + SACKED_SEGMENTS] = 1;
    expect(armed()).toBe(250);
    row.i32[row.r + SACKED_SEGMENTS] = 0;
    noteProbe(row.i32, row.r, true);
    expect(armed()).toBe(250);
  });

  it('doubles the RTO and does not probe after a timeout', () => {
    sampleRtt(row.i32, row.f64, row.r, 50_000, 0, createRttHistogram());
    send(3);
    countTimeout(row.i32, row.r);
    expect(armed()).toBe(500);
  });

  it('RACK comes before the RTO, and does not put it off', () => {
    sampleRtt(row.i32, row.f64, row.r, 50_000, 0, createRttHistogram());
    send(3);
    row.i32[row.r + RECOVERY_BITS]! |= RACK_WAITS;
    row.i32[row.r + RACK_DUE_US] = row.clock.us + 12_300;
    expect(armed()).toBe(13);
    row.i32[row.r + RACK_DUE_US] = row.clock.us + 900_000;
    expect(armed()).toBe(250);
  });

  it('never fires early, whatever the fraction of the millisecond', () => {
    for (let i = 0; i < 50; i++) {
      row.tick(0.37);
      const began = row.clock.us;
      if (ring.count(row.r) === 0) send(1);
      timer.restart(row.r);
      const deadline = armed()! + row.clock.ms;
      const us = Math.imul(deadline, 1000) - began;
      expect(us).toBeGreaterThanOrEqual(1_000_000);
      expect(us).toBeLessThan(1_001_000);
    }
  });

  it('fires at once when it is overdue', () => {
    send(1);
    row.i32[row.r + RTO_FROM_US] = row.clock.us - 5_000_000;
    expect(armed()).toBe(0);
  });

  it('is cleared when nothing is in flight, unless it is the persist timer', () => {
    send(1);
    armed();
    ring.dropHead(row.r);
    row.i32[row.r + FLAGS]! |= FLAG_PERSIST;
    expect(armed()).toBe(1000);
    row.i32[row.r + FLAGS]! &= ~FLAG_PERSIST;
    expect(armed()).toBeUndefined();
  });
});
