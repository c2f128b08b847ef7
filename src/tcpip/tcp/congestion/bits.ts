/** The bits of the word CONGESTION_BITS. */

/** cwnd was full at some time in the present round. */
export const LIMITED_NOW = 1 << 0;
/** cwnd was full at some time in the previous round. */
export const LIMITED_BEFORE = 1 << 1;
/** CUBIC_EPOCH_MS is valid: a congestion avoidance stage has begun (RFC 9438, 4.2). */
export const CUBIC_EPOCH = 1 << 2;
/** The same before the last reduction. */
export const PRIOR_CUBIC_EPOCH = 1 << 3;
/** HyStart++ is in Conservative Slow Start (RFC 9406, 4.2). */
export const HYSTART_CSS = 1 << 4;
/** ECN_END is valid. */
export const ECN_REDUCED = 1 << 5;
/** Bits 8 to 11: rttSampleCount of the round, at most 8. */
export const HYSTART_SAMPLES_SHIFT = 8;
export const HYSTART_SAMPLES = 15 << HYSTART_SAMPLES_SHIFT;
/** Bits 12 to 14: rounds of Conservative Slow Start. */
export const HYSTART_ROUNDS_SHIFT = 12;
export const HYSTART_ROUNDS = 7 << HYSTART_ROUNDS_SHIFT;
