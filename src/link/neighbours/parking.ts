/**
 * Packets that wait until their neighbour answers ARP: a bounded number for each neighbour, and for all. Packets to
 * neighbours that never answer cannot keep others out: the first packet to a neighbour takes the place of the packet
 * that has waited longest.
 *
 * The packets are in small arrays in order of arrival, searched from the front: this is no hot path, and 128 words are
 * eight cache lines.
 */
import { NO_BUFFER } from '../../../rings/buffer-pool.js';
import type { PacketTable } from '../../../rings/packet-table.js';

/** Most packets that wait. */
export const MAX_PARKED = 128;
/**
 * Most packets that wait for one neighbour. A program that opens many connections at once would otherwise lose most of
 * their SYNs, and wait a second for each: Linux keeps about as many (unres_qlen_bytes).
 */
export const MAX_PARKED_PER_NEIGHBOUR = 96;
/** Groups of neighbours, by a hash of their address: {@link ParkingLot.mayHold}. */
const GROUPS = 256;

export class ParkingLot {
  private readonly hops = new Int32Array(MAX_PARKED);
  private readonly handles = new Uint32Array(MAX_PARKED);
  private readonly lengths = new Uint32Array(MAX_PARKED);
  /** How many packets wait for the neighbours of each group. */
  private readonly groups = new Uint8Array(GROUPS);
  private parked = 0;

  /** Length of the packet that {@link take} returned last. */
  takenLength = 0;

  /** Packets that wait. */
  get count(): number {
    return this.parked;
  }

  /** Buffers that these packets lie in. */
  buffers(table: PacketTable): number {
    return table.partsOf(this.handles, 0, this.parked);
  }

  /** False when no packet waits for `hop`; true when one may. One load, because it is asked per packet that is sent. */
  mayHold(hop: number): boolean {
    return this.groups[groupOf(hop)] !== 0;
  }

  /**
   * Parks a packet for the neighbour `hop` (its address, signed).
   * @param isFirst whether the neighbour is asked for because of this packet. When all places are taken, only such a
   * packet replaces one of another neighbour. How often that happens is limited, so a neighbour has time to answer.
   * @returns the buffer that lost its place and is now the caller's: the oldest packet of this neighbour, because the
   * latest is the one to save (RFC 1122, 2.3.2.2); or the packet that has waited longest; or `handle` itself when it
   * may replace no other; or NO_BUFFER.
   */
  park(hop: number, handle: number, length: number, isFirst: boolean): number {
    let ofHop = 0;
    for (let i = 0; i < this.parked; i++) if (this.hops[i] === hop) ofHop++;
    let lost = NO_BUFFER;
    if (ofHop === MAX_PARKED_PER_NEIGHBOUR || (ofHop > 0 && this.parked === MAX_PARKED)) lost = this.take(hop);
    else if (this.parked === MAX_PARKED) {
      if (!isFirst) return handle;
      lost = this.takeAt(0);
    }
    const last = this.parked++;
    this.hops[last] = hop;
    this.handles[last] = handle;
    this.lengths[last] = length;
    this.groups[groupOf(hop)]++;
    return lost;
  }

  /** Takes out the oldest packet for `hop`. Returns its buffer, or NO_BUFFER; its length is in {@link takenLength}. */
  take(hop: number): number {
    for (let i = 0; i < this.parked; i++) if (this.hops[i] === hop) return this.takeAt(i);
    return NO_BUFFER;
  }

  private takeAt(place: number): number {
    const handle = this.handles[place];
    this.takenLength = this.lengths[place];
    this.groups[groupOf(this.hops[place])]--;
    this.hops.copyWithin(place, place + 1, this.parked);
    this.handles.copyWithin(place, place + 1, this.parked);
    this.lengths.copyWithin(place, place + 1, this.parked);
    this.parked--;
    return handle;
  }
}

const groupOf = (hop: number): number => (hop ^ (hop >>> 8)) & (GROUPS - 1);
