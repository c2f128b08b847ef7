import { describe, expect, it } from 'vitest';
import {
  CAN_UNDO,
  DSACK_ROUND_SET,
  MEASURED,
  PARTIAL_SEEN,
  POINT_SET,
  RACK_VALID,
  RACK_WAITS,
  REORDERING_SEEN,
  RETRANSMITTED,
  TLP_OUT,
  TLP_RETRANSMISSION,
} from '../../../../../../src/tcpip/tcp/recovery/bits.js';
import { BITS, SEGMENT_RETRANSMITTED } from '../../../../../../src/tcpip/tcp/recovery/sent-ring.js';
import {
  CWND,
  DSACK_ROUND,
  HIGHEST_SACKED,
  ONLY_RECORD,
  RACK_ORDER,
  RACK_US,
  RECOVERY_BITS,
  RECOVERY_POINT,
  ROUND_PIPE,
  ROW_WORDS,
  SACKED_SEGMENTS,
  SND_NXT,
  SSTHRESH,
  TIMEOUTS,
  TLP_END,
} from '../../../../../../src/tcpip/tcp/state/rows.js';
import { SackBlocks } from '../../../../../../src/tcpip/tcp/state/sack-blocks.js';
import { random, randomNetwork } from '../../../../../support/tcpip/random-network.js';
import { RecoveryNetwork } from '../../../../../support/tcpip/recovery-network.js';

const SCHEDULES = 100;
const REQUESTS = 30;
const STATES = 20_000;
/** Far less than {@link STATES}: most states are unusual. */
const LEAST_TAKEN = 200;

/** Counts the ACKs that {@link OnlySegment} takes, or lets it take none. */
function watch(net: RecoveryNetwork, isOn: boolean): { taken: number } {
  const only = net.recovery['onlySegment'];
  const acked = only.acked.bind(only);
  const watched = { taken: 0 };
  only.acked = (r: number, ack: number) => {
    const isTaken = isOn && acked(r, ack);
    if (isTaken) watched.taken++;
    return isTaken;
  };
  return watched;
}

const rowOf = (net: RecoveryNetwork): Int32Array => net.rows.i32.slice(net.r, net.r + ROW_WORDS);

/** Sends requests of random sizes. Returns the words of the row after each step, and how many ACKs were taken. */
function sendRequests(seed: number, isOn: boolean): { steps: Int32Array[]; taken: number } {
  const net = randomNetwork(seed);
  const watched = watch(net, isOn);
  const steps: Int32Array[] = [];
  net.check = () => steps.push(rowOf(net));
  const next = random(seed + 1);
  for (let i = 0; i < REQUESTS; i++) {
    expect(net.run(1e8)).toBe(true);
    net.now += Math.floor(next() * next() * next() * 1000);
    net.write(Math.max(1, Math.floor((next() < 0.7 ? 1 : 4) * net.mss * next())));
  }
  return { steps, taken: watched.taken };
}

/** Puts a sender with one segment in flight into a random state. Returns its row after the ACK. */
function ackInState(seed: number, isOn: boolean): { row: Int32Array; taken: number } {
  const next = random(seed);
  const some = (...bits: number[]) => bits.reduce((all, bit) => (next() < 0.15 ? all | bit : all), 0);
  const sack = next() < 0.7;
  const net = new RecoveryNetwork({ bytes: 0, sack, timestamps: next() < 0.5, reno: next() < 0.5 });
  const watched = watch(net, isOn);
  const { r, recovery } = net;
  const { i32 } = net.rows;
  net.write(1 + Math.floor(next() * net.mss));
  const ack = i32[r + SND_NXT]!;
  const near = () => (ack + Math.floor((next() - 0.5) * 4)) | 0;
  i32[r + RECOVERY_BITS]! |=
    some(RACK_VALID, RACK_VALID, sack ? RACK_WAITS : 0, REORDERING_SEEN, MEASURED, RETRANSMITTED, PARTIAL_SEEN) |
    some(POINT_SET, CAN_UNDO, DSACK_ROUND_SET, TLP_OUT, TLP_RETRANSMISSION);
  i32[r + RECOVERY_POINT] = next() < 0.5 ? near() : (ack - 100_000) | 0;
  i32[r + DSACK_ROUND] = near();
  i32[r + TLP_END] = near();
  if (next() < 0.2) i32[r + HIGHEST_SACKED] = near();
  if (next() < 0.2) i32[r + SACKED_SEGMENTS] = next() < 0.7 ? 0 : 1;
  if (next() < 0.1) i32[r + ONLY_RECORD + BITS] = SEGMENT_RETRANSMITTED;
  i32[r + RACK_US] = (net.clock.us + Math.floor((next() - 0.5) * 4)) | 0;
  i32[r + RACK_ORDER] = Math.floor(next() * 3);
  i32[r + TIMEOUTS] = next() < 0.5 ? 0 : (Math.floor(next() * 4) << 16) | Math.floor(next() * 4);
  i32[r + ROUND_PIPE] = Math.floor(next() * 2 * i32[r + CWND]!);
  if (next() < 0.5) i32[r + SSTHRESH] = Math.floor(next() * 2 * i32[r + CWND]!);
  // Some 1000 ACKs come more than 35 minutes late.
  net.now += next() < 0.05 ? 2_200_000 : next() * 100;
  net.clock.read();
  recovery.acked(r, next() < 0.05 ? (ack - 1) | 0 : ack, new SackBlocks(), next() < 0.5, 123_456_789, 0, false);
  recovery.rearm(r);
  return { row: rowOf(net), taken: watched.taken };
}

describe('OnlySegment', () => {
  it('leaves every word of the row as the steps of Recovery do, on random paths', () => {
    let taken = 0;
    for (let seed = 0; seed < SCHEDULES; seed++) {
      const short = sendRequests(seed, true);
      const long = sendRequests(seed, false);
      expect(short.steps.length, `seed ${seed}`).toBe(long.steps.length);
      // Plain comparisons, because `expect` per word takes most of the time.
      const step = short.steps.findIndex((words, i) => words.some((value, w) => value !== long.steps[i]![w]));
      if (step >= 0) expect(short.steps[step], `seed ${seed}, step ${step}`).toEqual(long.steps[step]);
      taken += short.taken;
    }
    expect(taken).toBeGreaterThan(SCHEDULES);
  });

  it('leaves every word of the row as the steps of Recovery do, in random states', () => {
    let taken = 0;
    for (let seed = 1; seed <= STATES; seed++) {
      const short = ackInState(seed, true);
      const long = ackInState(seed, false);
      const word = short.row.findIndex((value, w) => value !== long.row[w]);
      if (word >= 0) expect(short.row, `seed ${seed}, word ${word}`).toEqual(long.row);
      taken += short.taken;
    }
    expect(taken).toBeGreaterThan(LEAST_TAKEN);
  });
});
