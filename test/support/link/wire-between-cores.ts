/**
 * Two cores on one wire: each fake device receives what the other one sent. Frames can be lost or damaged on the way.
 */
import type { TestCore } from './test-core.js';

/** Changes a frame, or returns null to lose it. */
export type Mangle = (frame: Uint8Array) => Uint8Array | null;

export class Wire {
  mangle: Mangle = (frame) => frame;

  constructor(
    private readonly a: TestCore,
    private readonly b: TestCore,
  ) {}

  /** Carries over what was sent so far, both ways. */
  carry(): void {
    const fromA = this.a.device.frames.splice(0);
    const fromB = this.b.device.frames.splice(0);
    this.deliver(fromA, this.b);
    this.deliver(fromB, this.a);
  }

  private deliver(frames: readonly Uint8Array[], to: TestCore): void {
    for (const frame of frames) {
      const arriving = this.mangle(frame);
      if (arriving !== null) to.device.inject(arriving);
    }
  }
}
