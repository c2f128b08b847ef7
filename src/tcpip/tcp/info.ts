/** Measures of a connection, as Linux's `tcp_info`. */
import type { Calls } from './calls.js';
import type { ConnectionInfo } from './state/api.js';
import {
  BYTES_READ,
  BYTES_WRITTEN,
  FLAG_ECN,
  FLAG_RENO,
  FLAG_SACK,
  FLAG_TIMESTAMPS,
  FLAGS,
  MSS,
  RCV_ADV,
  RCV_NXT,
  RETRANSMITTED,
  SCALES,
  SND_END,
  SND_NXT,
  SND_UNA,
  SND_WND,
  STATE,
} from './state/rows.js';
import { stateName } from './state/state-names.js';

/** Bytes that were written and acknowledged. Before the connection is established, what is not acknowledged is the SYN. */
export function bytesAcknowledged(i32: Int32Array, f64: Float64Array, r: number): number {
  return Math.max(0, f64[(r >> 1) + BYTES_WRITTEN] - Math.max(0, (i32[r + SND_END] - i32[r + SND_UNA]) | 0));
}

/** Bytes that were written and not sent. */
export function bytesUnsent(i32: Int32Array, r: number): number {
  return Math.max(0, (i32[r + SND_END] - i32[r + SND_NXT]) | 0);
}

/** Reads the measures of the connection at `r`. */
export function connectionInfo(calls: Calls, r: number): ConnectionInfo {
  const { i32, f64, recovery } = calls;
  const flags = i32[r + FLAGS];
  const path = recovery.info(r);
  return {
    state: stateName(i32[r + STATE]),
    ...path,
    mss: i32[r + MSS],
    inFlight: (i32[r + SND_NXT] - i32[r + SND_UNA]) | 0,
    retransmitted: i32[r + RETRANSMITTED],
    unsent: bytesUnsent(i32, r),
    sendWindow: i32[r + SND_WND],
    receiveWindow: Math.max(0, (i32[r + RCV_ADV] - i32[r + RCV_NXT]) | 0),
    bytesAcknowledged: bytesAcknowledged(i32, f64, r),
    bytesReceived: f64[(r >> 1) + BYTES_READ],
    timestamps: (flags & FLAG_TIMESTAMPS) !== 0,
    sack: (flags & FLAG_SACK) !== 0,
    ecn: (flags & FLAG_ECN) !== 0,
    sendScale: i32[r + SCALES] & 0xff,
    receiveScale: i32[r + SCALES] >>> 8,
    congestion: (flags & FLAG_RENO) !== 0 ? 'reno' : 'cubic',
  };
}
