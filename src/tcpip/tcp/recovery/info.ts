/** What a connection can tell about its sender. */

import {
  CWND,
  LOST_BYTES,
  RECOVERY_BITS,
  type Rows,
  RTTVAR,
  SACKED_BYTES,
  SACKED_SEGMENTS,
  SRTT,
  SSTHRESH,
} from '../state/rows.js';
import { LOSS, RECOVERY, RECOVERY_STATE, REORDERING_SEEN } from './bits.js';
import { minRtt, rtoUs } from './rtt.js';

/** As Linux names the states of its sender. */
export type RecoveryState = 'open' | 'disorder' | 'recovery' | 'loss';

/** Times are in ms, with a fraction; windows and amounts in bytes. */
export interface RecoveryInfo {
  /** Smoothed round trip time; 0: not measured yet. */
  rtt: number;
  rttVariance: number;
  /** The least round trip time of the last 2.5 to 5 minutes; 0: not measured yet. */
  minRtt: number;
  /** Retransmission timeout, with backoff. */
  rto: number;
  congestionWindow: number;
  /** Slow start ends here; Infinity before the first loss. */
  slowStartThreshold: number;
  /** Bytes in the network. */
  pipe: number;
  /** Bytes that are lost and wait to be sent again. */
  lost: number;
  /** Bytes that the peer has received out of order. */
  sacked: number;
  /** Segments of the path overtake each other. */
  reordering: boolean;
  recovery: RecoveryState;
}

const US_PER_MS = 1000;

export function readInfo(rows: Rows, r: number, pipe: number, noThreshold: number): RecoveryInfo {
  const { i32, f64 } = rows;
  const bits = i32[r + RECOVERY_BITS];
  return {
    rtt: f64[(r >> 1) + SRTT] / US_PER_MS,
    rttVariance: f64[(r >> 1) + RTTVAR] / US_PER_MS,
    minRtt: minRtt(i32, r) / US_PER_MS,
    rto: rtoUs(i32, r) / US_PER_MS,
    congestionWindow: i32[r + CWND],
    slowStartThreshold: i32[r + SSTHRESH] >= noThreshold ? Number.POSITIVE_INFINITY : i32[r + SSTHRESH],
    pipe,
    lost: i32[r + LOST_BYTES],
    sacked: i32[r + SACKED_BYTES],
    reordering: (bits & REORDERING_SEEN) !== 0,
    recovery: stateName(bits & RECOVERY_STATE, i32[r + SACKED_SEGMENTS]),
  };
}

function stateName(state: number, sacked: number): RecoveryState {
  if (state === RECOVERY) return 'recovery';
  if (state === LOSS) return 'loss';
  return sacked > 0 ? 'disorder' : 'open';
}
