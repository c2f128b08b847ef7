/**
 * What the switch sees of a port's queue pair, be it a vhost-user peer or a tap device: frames come out of it by reference
 * and go into it by copy, in bursts.
 */
import type { PacketBurst } from './virtio/device/packet-burst.js';

export interface PacketEndpoint {
  /** For messages: `vhost-user:/tmp/a.sock queue pair 0`, `tap:tap0`. */
  readonly name: string;
  /** True while nobody would signal new frames: the endpoint must be polled even if {@link enableKick} returns true. */
  readonly pollOnly: boolean;

  /**
   * Refills `burst` with up to `max` frames that the peer sends; returns how many, 0 also while no peer is there. The
   * frames stay where they are and valid until {@link complete}, which must be called before the next take and before the
   * event loop runs again.
   */
  take(burst: PacketBurst, max: number): number;
  /** Gives the frames of the last take back to the peer. */
  complete(): void;

  /**
   * Copies the packets `indices[0]` to `indices[count - 1]` of `burst` to the peer. Returns how many it got; the others are
   * dropped (counted by reason here), and putting them again is not intended.
   */
  put(burst: PacketBurst, indices: Uint8Array, count: number): number;

  /**
   * Asks for {@link onKick} at the next frame. True: it is safe to sleep. False: frames wait already, no kick will come, go
   * on polling. No frame is missed in between. Stays asked for until {@link disableKick}, also over reconnections.
   */
  enableKick(): boolean;
  /** No kicks wanted: the endpoint is polled. */
  disableKick(): void;
  /** Called on the event loop when frames may wait. May also be called without any. */
  onKick: (() => void) | null;

  /** Totals since the endpoint was made, by name; every drop has its reason. */
  counters(): Record<string, number>;
}
