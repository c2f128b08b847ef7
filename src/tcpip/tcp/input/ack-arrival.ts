/**
 * The acknowledgement of a segment (RFC 9293, 3.10.7.4, fifth check): SND.UNA, the peer's window, and what follows when
 * our FIN is acknowledged. Loss detection and congestion control are in `recovery/`.
 */
import { TCP_CWR, TCP_ECE } from '../../../wire/tcp.js';
import { TCP } from '../counters.js';
import type { Acks } from '../output/acks.js';
import type { Closing } from '../output/closing.js';
import type { Output } from '../output/output.js';
import type { SendBuffer } from '../output/send-buffer.js';
import { FIN_WAIT_2_MS } from '../output/timers.js';
import type { Recovery } from '../recovery/recovery.js';
import {
  CWND,
  FLAG_ECE,
  FLAG_ECN,
  FLAG_FIN_SENT,
  FLAG_PERSIST,
  FLAG_TIMESTAMPS,
  FLAGS,
  HEARD_MS,
  KEEP_ALIVE,
  MAX_SND_WND,
  PROGRESS_MS,
  SCALES,
  SND_NXT,
  SND_UNA,
  SND_WL1,
  SND_WL2,
  SND_WND,
  SOFT_ERROR,
  STATE,
  STATE_CLOSING,
  STATE_FIN_WAIT_1,
  STATE_FIN_WAIT_2,
  STATE_LAST_ACK,
} from '../state/rows.js';
import { type Table, TIMER_KEEP_ALIVE, timerId } from '../state/table.js';
import type { Challenges } from './challenges.js';
import type { Segment } from './segment.js';

export class AckArrival {
  private readonly i32: Int32Array;

  constructor(
    private readonly table: Table,
    private readonly recovery: Recovery,
    private readonly output: Output,
    private readonly sendBuffer: SendBuffer,
    private readonly acks: Acks,
    private readonly closing: Closing,
    private readonly challenges: Challenges,
  ) {
    this.i32 = table.i32;
  }

  /** Processes the acknowledgement. Returns false when the segment is done with. */
  receive(r: number, segment: Segment): boolean {
    const { i32, table } = this;
    const { ack } = segment;
    const una = i32[r + SND_UNA];
    // RFC 5961, 5: an ACK beyond what was sent, or older than the largest window, is not the peer's.
    if (((ack - i32[r + SND_NXT]) | 0) > 0 || ((ack - una + i32[r + MAX_SND_WND]) | 0) < 0) {
      table.count[TCP.tcp_bad_ack]++;
      this.challenges.challenge(r);
      return false;
    }
    const isEcn = (i32[r + FLAGS] & FLAG_ECN) !== 0;
    if (isEcn) this.receiveEcn(r, segment);
    if (((ack - una) | 0) < 0) return true;
    const window = i32[r + SND_WND];
    const isNewWindow = this.takeWindow(r, segment) && i32[r + SND_WND] !== window;
    const hasTimestamps = segment.hasTimestamps && (i32[r + FLAGS] & FLAG_TIMESTAMPS) !== 0;
    const length = segment.end === segment.seq ? 0 : 1;
    // A D-SACK may come when all is acknowledged (RFC 2883, 4), or a duplicate ACK for a probe (RFC 8985, 7.4.2).
    if (this.recovery.awaitsAck(r) || segment.sacks.count > 0) {
      this.recovery.acked(r, ack, segment.sacks, hasTimestamps, segment.tsEcho, length, isNewWindow);
      if (ack !== una) {
        i32[r + SND_UNA] = ack;
        i32[r + PROGRESS_MS] = table.clock.ms;
        i32[r + SOFT_ERROR] = 0;
        this.sendBuffer.acknowledged(r);
        this.sendBuffer.tune(r, i32[r + CWND]);
        if ((i32[r + FLAGS] & FLAG_FIN_SENT) !== 0 && ack === i32[r + SND_NXT]) return this.finAcknowledged(r);
      }
      this.recovery.rearm(r);
      table.list(r);
    }
    if (isNewWindow) {
      if ((i32[r + FLAGS] & FLAG_PERSIST) !== 0 && i32[r + SND_WND] > 0) this.output.endPersist(r);
      table.list(r);
    }
    return true;
  }

  /** Takes over the window, unless the segment is older than the one that set it last (RFC 9293, 3.10.7.4). */
  takeWindow(r: number, segment: Segment): boolean {
    const { i32 } = this;
    const newer = (segment.seq - i32[r + SND_WL1]) | 0;
    if (newer < 0 || (newer === 0 && ((segment.ack - i32[r + SND_WL2]) | 0) < 0)) return false;
    const window = segment.isScaled ? segment.window << (i32[r + SCALES] & 0xff) : segment.window;
    i32[r + SND_WND] = window;
    i32[r + SND_WL1] = segment.seq;
    i32[r + SND_WL2] = segment.ack;
    if (window > i32[r + MAX_SND_WND]) i32[r + MAX_SND_WND] = window;
    return true;
  }

  /** RFC 3168, 6.1.2 and 6.1.3: a mark is echoed until the peer says that it has slowed down. */
  private receiveEcn(r: number, segment: Segment): void {
    const { i32 } = this;
    if ((segment.flags & TCP_CWR) !== 0) i32[r + FLAGS] &= ~FLAG_ECE;
    // Only data is sent with ECT, so a mark of anything else is not a router's (RFC 3168, 6.1.4).
    if (segment.isMarked && segment.length > 0) {
      i32[r + FLAGS] |= FLAG_ECE;
      this.acks.now(r);
    }
    if ((segment.flags & TCP_ECE) !== 0) this.recovery.ecnEcho(r);
  }

  /** Our FIN is acknowledged. Returns false when the row is not in use any more. */
  private finAcknowledged(r: number): boolean {
    const { i32, table } = this;
    this.recovery.rearm(r);
    switch (i32[r + STATE]) {
      case STATE_FIN_WAIT_1:
        table.setState(r, STATE_FIN_WAIT_2);
        table.wheel.set(timerId(r, TIMER_KEEP_ALIVE), (i32[r + HEARD_MS] + (i32[r + KEEP_ALIVE] || FIN_WAIT_2_MS)) | 0);
        return true;
      case STATE_CLOSING:
        this.closing.complete(r, true);
        return false;
      case STATE_LAST_ACK:
        this.closing.complete(r, false);
        return false;
      default:
        return true;
    }
  }
}
