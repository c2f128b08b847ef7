/** What a path does to frames besides delaying them. */

import { ETH_HEADER_BYTES } from '../../../../src/wire/ethernet.js';
import type { Random } from '../../../fuzz/random.js';

/** Losses in bursts (Gilbert and Elliott): a path is in a good or a bad state, which may change with each frame. */
export interface BurstLoss {
  /** Probability that a good path becomes bad with a frame. */
  readonly enter: number;
  /** Probability that a bad path becomes good with a frame: its inverse is the mean length of a bad period in frames. */
  readonly leave: number;
  /** Probability that a frame is lost while the path is bad. Default 1. */
  readonly loss?: number;
}

/** Probabilities from 0 to 1, per frame. Default of all: 0. */
export interface ImpairmentOptions {
  /** A frame is lost. */
  readonly loss?: number;
  readonly burstLoss?: BurstLoss;
  /** A frame is overtaken by those behind it: it arrives up to `extraMs` later. */
  readonly reorder?: { readonly probability: number; readonly extraMs: number };
  /** A frame arrives twice. */
  readonly duplicate?: number;
  /** One bit of the packet is flipped. */
  readonly corrupt?: number;
}

/** Chooses the fate of each frame of one path. */
export class Impairments {
  private isBad = false;

  constructor(
    private readonly options: ImpairmentOptions,
    private readonly random: Random,
  ) {}

  isLost(): boolean {
    const { loss = 0, burstLoss } = this.options;
    if (burstLoss !== undefined) {
      const flips = this.random.chance(this.isBad ? burstLoss.leave : burstLoss.enter);
      if (flips) this.isBad = !this.isBad;
      if (this.isBad && this.random.chance(burstLoss.loss ?? 1)) return true;
    }
    return this.random.chance(loss);
  }

  /** How much later than usual a frame arrives, in ms: 0 for most. */
  extraMs(): number {
    const { reorder } = this.options;
    if (reorder === undefined || !this.random.chance(reorder.probability)) return 0;
    return this.random.unit() * reorder.extraMs;
  }

  isDuplicated(): boolean {
    return this.random.chance(this.options.duplicate ?? 0);
  }

  /**
   * Perhaps flips a bit of the packet. The Ethernet header is spared, because a real link has a checksum over it.
   * @returns whether it did
   */
  corrupt(frame: Uint8Array, length: number): boolean {
    if (!this.random.chance(this.options.corrupt ?? 0) || length <= ETH_HEADER_BYTES) return false;
    const at = ETH_HEADER_BYTES + this.random.below(length - ETH_HEADER_BYTES);
    frame[at]! ^= 1 << this.random.below(8);
    return true;
  }
}
