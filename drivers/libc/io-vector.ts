/**
 * readv(2) and writev(2): one call that fills, or writes, several pieces of memory (readv(2), `struct iovec`). A tap
 * needs them per packet, so the array of pieces is made once and calls allocate nothing.
 */
import * as c from './constants.js';
import { native } from './ffi/native.js';
import { addressOf } from './mapping.js';

/** Bytes of a `struct iovec` (address and length, 64 bits each), and its 32-bit words. */
const ENTRY_BYTES = 16;
const ENTRY_WORDS = ENTRY_BYTES / 4;
const WORD_VALUES = 2 ** 32;

export class IoVector {
  private readonly words: Uint32Array;
  private readonly address: number;

  /** @param capacity most pieces of a call: at most 1024 (IOV_MAX) */
  constructor(private readonly capacity: number) {
    // Over a buffer, because the kernel gets its address, and small arrays move: docs/v8.md, "Typed arrays".
    this.words = new Uint32Array(new ArrayBuffer(capacity * ENTRY_BYTES));
    this.address = addressOf(this.words);
  }

  /**
   * Makes `length` bytes at `address` the piece `index`. It stays so until it is set again.
   * @param address of memory that stays where it is, such as a packet buffer
   */
  set(index: number, address: number, length: number): void {
    const { words } = this;
    const at = index * ENTRY_WORDS;
    // A store takes the lower 32 bits. Lengths are far below 2^32, so their upper word is 0 from the beginning.
    words[at] = address;
    words[at + 1] = address / WORD_VALUES;
    words[at + 2] = length;
  }

  /**
   * Reads into the first `count` pieces, in order. Returns the number of bytes, or minus the errno: on the packet path
   * EAGAIN is not worth an exception. More pieces than there is room for are EINVAL: the kernel would read on behind them.
   */
  readFrom(fd: number, count: number): number {
    if (count > this.capacity) return -c.EINVAL;
    const bytes = native.readv(fd, this.address, count);
    return bytes >= 0 ? bytes : -native.errno();
  }

  /** Writes the first `count` pieces, in order. Returns the same as {@link readFrom}. */
  writeTo(fd: number, count: number): number {
    if (count > this.capacity) return -c.EINVAL;
    const bytes = native.writev(fd, this.address, count);
    return bytes >= 0 ? bytes : -native.errno();
  }
}
