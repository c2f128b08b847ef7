/**
 * What a connection does when its path takes smaller packets only: by an ICMP error (RFC 1191, 6.4), or because large
 * segments vanish and nobody says why (RFC 4821, 7.7; RFC 8899, 4.3).
 */
import { TCP } from '../counters.js';
import type { Recovery } from '../recovery/recovery.js';
import { MSS, REMOTE, RING_HEAD } from '../state/rows.js';
import type { Table } from '../state/table.js';
import type { Handshake } from './handshake.js';
import type { IpOutput } from './ip-output.js';
import type { Transmit } from './transmit.js';

/** MTUs that are tried when large segments vanish (Linux: tcp_base_mss of 1024; RFC 1191: 576). */
const FIRST_MTU = 1064;
const LAST_MTU = 576;
/** A segment that gets lost so often in turn may be too large for the path. */
const FIRST_TIMEOUTS = 2;
const LAST_TIMEOUTS = 4;

export class PathMtuChange {
  constructor(
    private readonly table: Table,
    private readonly recovery: Recovery,
    private readonly handshake: Handshake,
    private readonly ip: IpOutput,
    private readonly transmit: Transmit,
  ) {}

  /** The path MTU of the peer has changed: what is in flight and too large is sent again in smaller segments. */
  apply(r: number): void {
    const { i32, count } = this.table;
    const before = i32[r + MSS];
    this.handshake.setMss(r);
    if (i32[r + MSS] >= before) return;
    count[TCP.tcp_mtu_reduced]++;
    this.recovery.mtuReduced(r, i32[r + MSS]);
    this.table.list(r);
  }

  /** The retransmission timer has fired: after several times, tries a smaller segment. */
  timedOut(r: number): void {
    const { i32, count } = this.table;
    const timeouts = this.recovery.timeouts(r);
    const mtu = timeouts === FIRST_TIMEOUTS ? FIRST_MTU : timeouts === LAST_TIMEOUTS ? LAST_MTU : 0;
    if (mtu !== 0 && this.isLonger(r, mtu) && this.ip.pathMtu(i32[r + REMOTE]) > mtu) {
      count[TCP.tcp_black_holes]++;
      this.ip.reduceMtu(i32[r + REMOTE], mtu);
    }
    // Another connection with the same peer may have found a smaller MTU meanwhile.
    this.apply(r);
  }

  /** Whether the segment that got lost does not fit into `mtu`. Otherwise its size is not why it got lost. */
  private isLonger(r: number, mtu: number): boolean {
    const { recovery, transmit } = this;
    const first = this.table.i32[r + RING_HEAD];
    return ((recovery.recordEnd(r, first) - recovery.recordSeq(r, first)) | 0) > transmit.mssFor(r, mtu);
  }
}
