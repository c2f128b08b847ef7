/** Most blocks of a SACK option: 40 bytes of options have room for four (RFC 2018, 3). */
export const MAX_SACK_BLOCKS = 4;

/** The blocks of a received SACK option, as they stand in it. They are not checked. */
export class SackBlocks {
  count = 0;
  /** Left edges. */
  readonly start = new Int32Array(new ArrayBuffer(MAX_SACK_BLOCKS * 4));
  /** Right edges: the sequence number after the last byte. */
  readonly end = new Int32Array(new ArrayBuffer(MAX_SACK_BLOCKS * 4));

  /** Appends a block; the fifth and further ones are ignored. */
  add(start: number, end: number): void {
    if (this.count === MAX_SACK_BLOCKS) return;
    this.start[this.count] = start;
    this.end[this.count] = end;
    this.count++;
  }
}
