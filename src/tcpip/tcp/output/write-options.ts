/**
 * Writes TCP options (RFC 9293, 3.2): in a SYN the MSS, window scale, SACK-permitted and timestamps, in other segments
 * timestamps and SACK blocks. All are padded to words, in the order that most stacks use, which peers parse fastest.
 */
import { writeI32, writeU16 } from '../../../wire/bytes.js';
import type { SackBlocks } from '../state/sack-blocks.js';

export const OPTION_END = 0;
export const OPTION_NOP = 1;
export const OPTION_MSS = 2;
export const OPTION_SCALE = 3;
export const OPTION_SACK_PERMITTED = 4;
export const OPTION_SACK = 5;
export const OPTION_TIMESTAMPS = 8;

export const MSS_BYTES = 4;
export const SCALE_BYTES = 3;
export const SACK_PERMITTED_BYTES = 2;
export const TIMESTAMPS_BYTES = 10;
/** A timestamps option with its padding. */
export const PADDED_TIMESTAMPS_BYTES = 12;
/** A SACK option with its padding, without its blocks. */
export const PADDED_SACK_BYTES = 4;
export const SACK_BLOCK_BYTES = 8;
/** Most bytes of options in a segment. */
export const MAX_OPTIONS_BYTES = 40;

/** Writes a timestamps option (RFC 7323, 3.2) at `at`; returns the offset behind it. */
export function writeTimestamps(u8: Uint8Array, at: number, value: number, echo: number): number {
  u8[at] = OPTION_NOP;
  u8[at + 1] = OPTION_NOP;
  u8[at + 2] = OPTION_TIMESTAMPS;
  u8[at + 3] = TIMESTAMPS_BYTES;
  writeI32(u8, at + 4, value);
  writeI32(u8, at + 8, echo);
  return at + PADDED_TIMESTAMPS_BYTES;
}

/** Writes a SACK option (RFC 2018, 3) with all of `blocks`; returns the offset behind it. */
export function writeSack(u8: Uint8Array, at: number, blocks: SackBlocks): number {
  u8[at] = OPTION_NOP;
  u8[at + 1] = OPTION_NOP;
  u8[at + 2] = OPTION_SACK;
  u8[at + 3] = 2 + blocks.count * SACK_BLOCK_BYTES;
  let to = at + PADDED_SACK_BYTES;
  for (let i = 0; i < blocks.count; i++) {
    writeI32(u8, to, blocks.start[i]);
    writeI32(u8, to + 4, blocks.end[i]);
    to += SACK_BLOCK_BYTES;
  }
  return to;
}

/**
 * Writes the options of a SYN or SYN-ACK; returns the offset behind them.
 * @param scale shift of our window; -1: no window scaling
 * @param hasTimestamps whether `value` and `echo` go out
 */
export function writeSynOptions(
  u8: Uint8Array,
  at: number,
  mss: number,
  scale: number,
  sackPermitted: boolean,
  hasTimestamps: boolean,
  value: number,
  echo: number,
): number {
  u8[at] = OPTION_MSS;
  u8[at + 1] = MSS_BYTES;
  writeU16(u8, at + 2, mss);
  let to = at + MSS_BYTES;
  if (sackPermitted || hasTimestamps) {
    u8[to] = sackPermitted ? OPTION_SACK_PERMITTED : OPTION_NOP;
    u8[to + 1] = sackPermitted ? SACK_PERMITTED_BYTES : OPTION_NOP;
    to += 2;
    if (hasTimestamps) {
      u8[to] = OPTION_TIMESTAMPS;
      u8[to + 1] = TIMESTAMPS_BYTES;
      writeI32(u8, to + 2, value);
      writeI32(u8, to + 6, echo);
      to += TIMESTAMPS_BYTES;
    } else {
      u8[to] = OPTION_NOP;
      u8[to + 1] = OPTION_NOP;
      to += 2;
    }
  }
  if (scale >= 0) {
    u8[to] = OPTION_NOP;
    u8[to + 1] = OPTION_SCALE;
    u8[to + 2] = SCALE_BYTES;
    u8[to + 3] = scale;
    to += 4;
  }
  return to;
}
