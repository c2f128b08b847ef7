/** The blocks of a SACK option (RFC 2018, 3), read from a segment: at most four, which 40 bytes of options hold. */
export const MAX_SACK_BLOCKS = 4;

export class SackBlocks {
  /** How many blocks there are. */
  count = 0;
  /** First sequence number of each block. */
  readonly start = new Int32Array(new ArrayBuffer(MAX_SACK_BLOCKS * 4));
  /** Sequence number behind the last one of each block. */
  readonly end = new Int32Array(new ArrayBuffer(MAX_SACK_BLOCKS * 4));
}
