/** The bits of the word RECOVERY_BITS. */

/** Bits 0 and 1: the state of recovery. */
export const RECOVERY_STATE = 3;
/** Nothing is lost, as far as the sender knows. */
export const OPEN = 0;
/** Fast recovery: losses were found by RACK or by duplicate ACKs (RFC 8985, 6; RFC 6582). */
export const RECOVERY = 1;
/** Recovery after a timeout (RFC 5681, 3.1; RFC 8985, 6.3). */
export const LOSS = 2;

/** RACK.reordering_seen. */
export const REORDERING_SEEN = 1 << 2;
/** RACK.dsack_round is valid. */
export const DSACK_ROUND_SET = 1 << 3;
/** RACK.xmit_ts, RACK.end_seq and RACK.rtt are valid. */
export const RACK_VALID = 1 << 4;
/** RACK_DUE_US is valid. */
export const RACK_WAITS = 1 << 5;
/** TLP.end_seq is valid: a loss probe is not acknowledged yet. */
export const TLP_OUT = 1 << 6;
/** TLP.is_retrans. */
export const TLP_RETRANSMISSION = 1 << 7;
/** A round trip was measured since the last loss probe (RFC 8985, 7.3). */
export const MEASURED = 1 << 8;
/** Something was retransmitted since recovery began: RETRANSMIT_MS is valid. */
export const RETRANSMITTED = 1 << 9;
/** PRIOR_CWND and its like are valid: the reduction can be undone. */
export const CAN_UNDO = 1 << 10;
/** F-RTO looks whether the timeout was spurious (RFC 5682). */
export const FRTO = 1 << 11;
/** F-RTO step 2b: new data goes out instead of retransmissions. */
export const FRTO_NEW_DATA = 1 << 12;
/** Without SACK: a partial ACK came in this recovery (RFC 6582, 3.2, step 5). */
export const PARTIAL_SEEN = 1 << 14;
/** RECOVERY_POINT is valid. */
export const POINT_SET = 1 << 13;

/** Bits 16 and 17: what the timer RETRANSMIT waits for. */
export const TIMER_SHIFT = 16;
export const TIMER_MASK = 3 << TIMER_SHIFT;
export const TIMER_NONE = 0;
export const TIMER_RTO = 1 << TIMER_SHIFT;
export const TIMER_PTO = 2 << TIMER_SHIFT;
export const TIMER_RACK = 3 << TIMER_SHIFT;
