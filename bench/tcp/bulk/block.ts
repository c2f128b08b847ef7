/** The block of bytes that is sent again and again, and how a receiver compares a stream with it. */
import { seedOf, writePattern } from '../../../src/apps/pattern.js';

/** Bytes of a write: what an application reads from a file at once. */
export const BLOCK_BYTES = 65_536;
const SEED = seedOf(0);

/** Returns a new array with the block. */
export function makeBlock(): Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES);
  writePattern(block, 0, BLOCK_BYTES, SEED);
  return block;
}

/** Compares a stream with a block that is repeated without end. */
export class RepeatedBlock {
  /** Bytes of the stream until now. */
  bytes = 0;
  /** How many of them were not those of the block. */
  wrong = 0;
  private at = 0;

  constructor(private readonly block: Uint8Array) {}

  /** Takes the next bytes of the stream. */
  take(bytes: Uint8Array, offset: number, length: number): void {
    const { block } = this;
    let { at, wrong } = this;
    for (let i = offset; i < offset + length; i++) {
      if (bytes[i] !== block[at]) wrong++;
      if (++at === block.length) at = 0;
    }
    this.at = at;
    this.wrong = wrong;
    this.bytes += length;
  }
}
