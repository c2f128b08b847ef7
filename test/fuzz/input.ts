/**
 * The bytes of a case, read as a row of decisions: a target asks for a number here, a choice there, and makes of them what
 * it tests. So mutations of bytes are mutations of structure, any bytes are a case, and to shrink a case is to drop bytes.
 * Past the end everything is 0.
 */

export class Input {
  private bytes: Uint8Array = new Uint8Array(0);
  private end = 0;
  private at = 0;

  reset(bytes: Uint8Array, length: number): this {
    this.bytes = bytes;
    this.end = length;
    this.at = 0;
    return this;
  }

  /** Bytes that were not read yet. */
  get left(): number {
    return this.end - this.at;
  }

  u8(): number {
    return this.at < this.end ? this.bytes[this.at++]! : 0;
  }

  u16(): number {
    return this.u8() | (this.u8() << 8);
  }

  u32(): number {
    return (this.u16() | (this.u16() << 16)) >>> 0;
  }

  u64(): bigint {
    return BigInt(this.u32()) | (BigInt(this.u32()) << 32n);
  }

  bool(): boolean {
    return (this.u8() & 1) !== 0;
  }

  /** 0 to n - 1; n is at most 256. */
  below(n: number): number {
    return this.u8() % n;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  /** The next bytes, at most `count`: a copy. */
  take(count: number): Uint8Array {
    const bytes = this.bytes.slice(this.at, Math.min(this.at + count, this.end));
    this.at += bytes.length;
    return bytes;
  }
}
