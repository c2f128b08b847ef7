/**
 * What the switch sees of a port's queue pair, which is a vhost-user peer or a tap device. Frames come out of it by
 * reference and go into it by copy, in bursts.
 */
import type { PacketBurst } from './virtio/device/packet-burst.js';

export interface PacketEndpoint {
  /** For messages: `vhost-user:/tmp/a.sock queue pair 0`, `tap:tap0`. */
  readonly name: string;
  /** True while no signal would announce new frames: poll the endpoint even if {@link enableKick} returns true. */
  readonly pollOnly: boolean;

  /**
   * Refills `burst` with up to `max` frames that the peer sends. Returns how many; 0 also while there is no peer. The
   * frames stay where they are and are valid until {@link complete}, which must be called before the next take and
   * before the event loop runs again. What the peer leaves to the receivers of its packets is checked, and is in the burst.
   */
  take(burst: PacketBurst, max: number): number;
  /** Gives the frames of the last take back to the peer. */
  complete(): void;

  /**
   * Copies the packets `indices[0]` to `indices[count - 1]` of `burst` to the peer. Returns how many it got. The others
   * are dropped, and counted by reason here; the caller should not put them again. A packet that the peer does not take as
   * it is (`burst.flags`) is finished first.
   */
  put(burst: PacketBurst, indices: Uint8Array, count: number): number;
  /** Bit i: packet `indices[i]` of the last {@link put} was dropped. Valid when that returned less than its count. */
  readonly refused: number;

  /**
   * Asks for {@link onKick} at the next frame. Returns true when it is safe to sleep; false when frames are waiting
   * already: then no kick will come, and the caller goes on polling. No frame is missed in between. The request stays
   * until {@link disableKick}, also across reconnections.
   */
  enableKick(): boolean;
  /** Says that the endpoint is polled: no kicks are wanted. */
  disableKick(): void;
  /** Called on the event loop when frames may be waiting. May also be called when there are none. */
  onKick: (() => void) | null;

  /** Totals since the endpoint was made, by name. Every kind of drop has its own counter. */
  counters(): Record<string, number>;
}
