/** Frames on the wires of a simulation. Each lies in a slot that is used again and again. */

/** Slots that are made at a time. */
const CHUNK = 256;
/** A shorter frame is copied by a loop, which is faster than a call of `set`. */
const SHORT_BYTES = 128;

export class FramePool {
  /** The bytes of each slot. */
  readonly views: Uint8Array[] = [];
  /** How many bytes of a slot its frame has. */
  readonly lengths: number[] = [];
  private readonly free: number[] = [];

  /** @param slotBytes longest frame in bytes */
  constructor(readonly slotBytes: number) {}

  /** How many frames are on the wires. */
  get used(): number {
    return this.views.length - this.free.length;
  }

  /**
   * Takes a slot. The caller owns it until {@link release}, or until it gives it to a path or an endpoint.
   * @param length bytes of the frame, which the caller writes to `views[slot]`
   */
  take(length: number): number {
    if (length > this.slotBytes) throw new RangeError(`a frame of ${length} bytes; a slot has ${this.slotBytes}`);
    if (this.free.length === 0) this.grow();
    const slot = this.free.pop()!;
    this.lengths[slot] = length;
    return slot;
  }

  /** Takes a slot with the frame of another slot. */
  copy(slot: number): number {
    const length = this.lengths[slot]!;
    const copy = this.take(length);
    copyFrame(this.views[copy]!, this.views[slot]!, length);
    return copy;
  }

  release(slot: number): void {
    this.free.push(slot);
  }

  private grow(): void {
    const chunk = new Uint8Array(CHUNK * this.slotBytes);
    const first = this.views.length;
    for (let i = 0; i < CHUNK; i++) {
      this.views.push(chunk.subarray(i * this.slotBytes, (i + 1) * this.slotBytes));
      this.lengths.push(0);
    }
    for (let i = CHUNK - 1; i >= 0; i--) this.free.push(first + i);
  }
}

/**
 * Copies a frame between two views of at least `length` bytes. Bytes behind the frame may be copied, too: then no view
 * of the right length need be made.
 */
export function copyFrame(to: Uint8Array, from: Uint8Array, length: number): void {
  if (length <= SHORT_BYTES) for (let i = 0; i < length; i++) to[i] = from[i]!;
  else to.set(from.length <= to.length ? from : from.subarray(0, length));
}
