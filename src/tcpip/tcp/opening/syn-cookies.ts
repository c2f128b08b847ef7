/**
 * SYN cookies (RFC 4987, 3.6): when the backlog is full, what a connection needs is put into the initial sequence number,
 * and into our timestamp if the peer uses timestamps. The ACK of the peer brings both back, so that a SYN costs no memory.
 *
 * The cookie is an encrypted word: bits 0 to 23 prove with a keyed hash that we made it for this flow, this sequence
 * number of the peer, this period and this MSS; bits 24 to 26 are the index of the MSS; bits 27 to 31 are the period.
 * A guess is right with a probability of 2^-28, as with Linux.
 *
 * A period has 2^16 ms, because the clock of int32 milliseconds wraps at a multiple of it. A cookie is valid in its period
 * and the next: for 65.5 to 131 s.
 */
import { SipHash } from '../../hash/siphash.js';

/** The MSS of a connection is the largest of these that is not above the peer's, and at least the first. */
const MSS_VALUES = new Int32Array([64, 536, 1024, 1300, 1440, 1452, 1460, 8960]);

const PROOF_MASK = 0xff_ffff;
const MSS_SHIFT = 24;
const MSS_MASK = 7;
const PERIOD_SHIFT = 27;
const PERIOD_MASK = 31;
/** log2 of the milliseconds of a period. */
const PERIOD_MS_SHIFT = 16;
/** Number of all periods, minus 1. */
const PERIODS_MASK = 0xffff;
/** The last word of what is hashed for the encryption. For the proof it is less than 2^19. */
const FOR_ENCRYPTION = -1;

/** Bits of {@link SynCookies.fromTs}: the window scale of the peer, or {@link COOKIE_NO_SCALE}. */
export const COOKIE_SCALE_MASK = 15;
export const COOKIE_NO_SCALE = 15;
/** The peer allows SACK. */
export const COOKIE_SACK = 1 << 4;
/** ECN was negotiated. */
export const COOKIE_ECN = 1 << 5;
const OPTIONS_MASK = 63;

export class SynCookies {
  private readonly hash: SipHash;

  /** @param key 16 random bytes, used for nothing else */
  constructor(key: Uint8Array) {
    this.hash = new SipHash(key);
  }

  /**
   * Makes the initial sequence number for a SYN that is not stored.
   * @param ports (local port << 16) | remote port
   * @param peerIsn sequence number of the SYN
   * @param mss the peer's MSS option, or 536
   * @param ms clock.ms
   * @returns an int32
   */
  make(remote: number, ports: number, peerIsn: number, mss: number, ms: number): number {
    let index = MSS_VALUES.length - 1;
    while (index > 0 && MSS_VALUES[index] > mss) index--;
    const period = ms >>> PERIOD_MS_SHIFT;
    const plain = (period << PERIOD_SHIFT) | (index << MSS_SHIFT) | this.proof(remote, ports, peerIsn, period, index);
    return plain ^ this.hash.hash(remote, ports, peerIsn, FOR_ENCRYPTION);
  }

  /**
   * Checks what an ACK brings back.
   * @param peerIsn sequence number of the ACK minus 1
   * @param cookie acknowledgement number of the ACK minus 1
   * @returns the MSS; 0 when we have not made the cookie, or it is too old
   */
  check(remote: number, ports: number, peerIsn: number, cookie: number, ms: number): number {
    const plain = cookie ^ this.hash.hash(remote, ports, peerIsn, FOR_ENCRYPTION);
    const now = ms >>> PERIOD_MS_SHIFT;
    const age = (now - (plain >>> PERIOD_SHIFT)) & PERIOD_MASK;
    if (age > 1) return 0;
    const index = (plain >>> MSS_SHIFT) & MSS_MASK;
    const proof = this.proof(remote, ports, peerIsn, (now - age) & PERIODS_MASK, index);
    return (plain & PROOF_MASK) === proof ? MSS_VALUES[index] : 0;
  }

  /**
   * Our timestamp for the SYN-ACK, before the offset of the connection is added: the time with options in the low 6
   * bits. It is never later than the time, so that the connection's timestamps go on increasing.
   * @param scale the peer's window scale, or -1 when the SYN had none
   */
  tsFor(ms: number, scale: number, sack: boolean, ecn: boolean): number {
    const options = (scale < 0 ? COOKIE_NO_SCALE : scale) | (sack ? COOKIE_SACK : 0) | (ecn ? COOKIE_ECN : 0);
    const ts = (ms & ~OPTIONS_MASK) | options;
    return ((ts - ms) | 0) > 0 ? (ts - OPTIONS_MASK - 1) | 0 : ts;
  }

  /**
   * The options that {@link tsFor} has put into a timestamp.
   * @param ts the timestamp that the peer echoes, without the offset of the connection
   * @returns COOKIE_ bits
   */
  fromTs(ts: number): number {
    return ts & OPTIONS_MASK;
  }

  private proof(remote: number, ports: number, peerIsn: number, period: number, index: number): number {
    return this.hash.hash(remote, ports, peerIsn, (period << 3) | index) & PROOF_MASK;
  }
}
