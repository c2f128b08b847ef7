/** Segments for a connection that the application opens (RFC 9293, 3.10.7.3), simultaneous open included. */

import { TCP_ACK, TCP_CWR, TCP_ECE, TCP_RST, TCP_SYN } from '../../../wire/tcp.js';
import { netError } from '../../errors.js';
import { TCP } from '../counters.js';
import type { Acks } from '../output/acks.js';
import type { Closing } from '../output/closing.js';
import type { Handshake } from '../output/handshake.js';
import type { Resets } from '../output/resets.js';
import { FLAG_ECN, FLAGS, HEARD_MS, ISS, SND_NXT, SND_UNA, SND_WL2, STATE, STATE_CLOSED } from '../state/rows.js';
import type { Table } from '../state/table.js';
import type { Segment } from './segment.js';

export class SynSent {
  private readonly i32: Int32Array;

  constructor(
    private readonly table: Table,
    private readonly handshake: Handshake,
    private readonly acks: Acks,
    private readonly closing: Closing,
    private readonly resets: Resets,
  ) {
    this.i32 = table.i32;
  }

  receive(r: number, segment: Segment): void {
    const { i32, table } = this;
    const { flags, ack } = segment;
    const hasAck = (flags & TCP_ACK) !== 0;
    if (hasAck && (((ack - i32[r + ISS]) | 0) <= 0 || ((ack - i32[r + SND_NXT]) | 0) > 0)) {
      table.count[TCP.tcp_bad_ack]++;
      if ((flags & TCP_RST) === 0) this.resets.reset(segment.remote, segment.ports, ack, 0, 0);
      return;
    }
    if ((flags & TCP_RST) !== 0) {
      // Without an ACK anybody may have sent it (RFC 9293, 3.10.7.3, second check).
      if (!hasAck) return;
      table.count[TCP.tcp_resets_received]++;
      this.closing.finish(r, netError('ECONNREFUSED', 'connect: the peer has refused the connection'));
      return;
    }
    if ((flags & TCP_SYN) === 0) return;
    this.handshake.settle(r, segment);
    i32[r + HEARD_MS] = table.clock.ms;
    if (!hasAck) {
      // Both have sent a SYN: simultaneous open.
      if ((flags & (TCP_ECE | TCP_CWR)) !== (TCP_ECE | TCP_CWR)) i32[r + FLAGS] &= ~FLAG_ECN;
      this.handshake.accept(r);
      return;
    }
    // RFC 3168, 6.1.1: a SYN-ACK with ECE, and without CWR.
    if ((flags & (TCP_ECE | TCP_CWR)) !== TCP_ECE) i32[r + FLAGS] &= ~FLAG_ECN;
    i32[r + SND_UNA] = ack;
    // The window of a SYN-ACK is not scaled (RFC 7323, 2.2): `settle` has taken it as it is.
    i32[r + SND_WL2] = ack;
    this.handshake.establish(r);
    this.acks.now(r);
    this.handshake.tellOpen(r);
    if (i32[r + STATE] !== STATE_CLOSED) table.list(r);
  }
}
