/**
 * Packets that wait until their neighbour answers ARP: a bounded number a neighbour, and in all.
 *
 * One small array in order of arrival, searched from the front: this is no hot path, and 64 words are two cache lines.
 */
import { NO_BUFFER } from '../rings/buffer-pool.js';

/** Packets that wait in all. */
export const MAX_PARKED = 64;
/** Packets that wait for one neighbour. */
export const MAX_PARKED_PER_NEIGHBOUR = 8;

export class ParkingLot {
  private readonly hops = new Int32Array(MAX_PARKED);
  private readonly handles = new Uint32Array(MAX_PARKED);
  private readonly lengths = new Uint32Array(MAX_PARKED);
  private parked = 0;

  /** Length of the packet that {@link take} returned last. */
  takenLength = 0;

  /** Packets that wait. */
  get count(): number {
    return this.parked;
  }

  /**
   * Parks a packet for the neighbour `hop` (signed bits).
   * @returns the buffer that has no place any more and is the caller's: the neighbour's oldest packet, since the latest is
   * the one to save (RFC 1122, 2.3.2.2); or `handle` itself when all places are taken; or NO_BUFFER.
   */
  park(hop: number, handle: number, length: number): number {
    let ofHop = 0;
    for (let i = 0; i < this.parked; i++) if (this.hops[i] === hop) ofHop++;
    let lost = NO_BUFFER;
    if (ofHop === MAX_PARKED_PER_NEIGHBOUR) lost = this.take(hop);
    else if (this.parked === MAX_PARKED) return handle;
    const last = this.parked++;
    this.hops[last] = hop;
    this.handles[last] = handle;
    this.lengths[last] = length;
    return lost;
  }

  /** Takes out the oldest packet for `hop`, or NO_BUFFER; its length is in {@link takenLength}. */
  take(hop: number): number {
    for (let i = 0; i < this.parked; i++) {
      if (this.hops[i] !== hop) continue;
      const handle = this.handles[i]!;
      this.takenLength = this.lengths[i]!;
      this.hops.copyWithin(i, i + 1, this.parked);
      this.handles.copyWithin(i, i + 1, this.parked);
      this.lengths.copyWithin(i, i + 1, this.parked);
      this.parked--;
      return handle;
    }
    return NO_BUFFER;
  }
}
