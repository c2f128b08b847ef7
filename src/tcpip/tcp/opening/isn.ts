/**
 * Initial sequence numbers (RFC 6528, section 3; RFC 9293, 3.4.1): a clock of 4 µs plus a keyed hash of the flow. An
 * outsider cannot guess the number, and a new connection of the same flow begins after the old one.
 */
import { SipHash } from '../../hash/siphash.js';

/** log2 of the microseconds of a tick (RFC 9293, 3.4.1). */
const TICK_SHIFT = 2;

export class InitialSequence {
  /** What {@link timestampOffset} returns for the flow of the last {@link next}. */
  offset = 0;
  private readonly hash: SipHash;
  /** M of RFC 6528: counts up to 2^32 ticks, which clock.us with its 2^30 ticks cannot. */
  private ticks = 0;
  private lastUs = 0;

  /** @param key 16 random bytes */
  constructor(key: Uint8Array) {
    this.hash = new SipHash(key);
  }

  /**
   * The initial sequence number of a new connection.
   * @param ports (local port << 16) | remote port
   * @param us clock.us. After 71 minutes without a call the clock of 4 µs has lost time, but never goes back; segments
   *   of old connections are gone from the network by then.
   * @returns an int32
   */
  next(remote: number, ports: number, us: number): number {
    const passed = ((us - this.lastUs) | 0) >>> TICK_SHIFT;
    this.lastUs = (this.lastUs + (passed << TICK_SHIFT)) | 0;
    this.ticks = (this.ticks + passed) | 0;
    // The halves of a SipHash tell nothing about each other.
    const own = this.hash.hash(remote, ports, 0, 0);
    this.offset = this.hash.high;
    return (this.ticks + own) | 0;
  }

  /**
   * What is added to clock.ms for the timestamps of a connection (RFC 7323, 7.1). It is the same for each connection of
   * a flow, so that the timestamps of a later connection are greater (RFC 6191).
   * @returns an int32
   */
  timestampOffset(remote: number, ports: number): number {
    this.hash.hash(remote, ports, 0, 0);
    return this.hash.high;
  }
}
