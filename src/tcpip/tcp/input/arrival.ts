/**
 * Where received segments come in: checks them, finds their connection, listener or TIME_WAIT entry, and answers those
 * that belong to nothing (RFC 9293, 3.10.7).
 */
import type { MemoryViews } from '../../../../drivers/memory/index.js';
import type { PacketBuffer } from '../../../link/packet-buffer.js';
import { TCP_ACK, TCP_RST } from '../../../wire/tcp.js';
import { TCP } from '../counters.js';
import type { Listeners } from '../listeners.js';
import type { Resets } from '../output/resets.js';
import { NO_FLOW } from '../state/flow-table.js';
import { ROW_SHIFT, STATE, STATE_SYN_SENT } from '../state/rows.js';
import type { Table } from '../state/table.js';
import type { Listening } from './listening.js';
import { SEGMENT_BAD_CHECKSUM, SEGMENT_INTACT, Segment } from './segment.js';
import type { SynSent } from './syn-sent.js';
import type { Synchronized } from './synchronized.js';
import type { TimeWaiting } from './time-waiting.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const SEGMENTS_IN = TCP.tcp_segments_in;
const SHIFT = ROW_SHIFT;
const SYN_SENT = STATE_SYN_SENT;
const INTACT = SEGMENT_INTACT;

export class Arrival {
  private readonly segment: Segment;

  constructor(
    private readonly table: Table,
    private readonly listeners: Listeners,
    private readonly resets: Resets,
    private readonly synchronized: Synchronized,
    private readonly synSent: SynSent,
    private readonly listening: Listening,
    private readonly timeWaiting: TimeWaiting,
    bytes: Uint8Array,
  ) {
    this.segment = new Segment(bytes);
  }

  /** As {@link TransportProtocol.receive}. */
  receive(
    memory: MemoryViews,
    ip: number,
    tcp: number,
    length: number,
    toUs: boolean,
    packet: PacketBuffer | null,
  ): void {
    const { table, segment } = this;
    const { count } = table;
    count[SEGMENTS_IN]++;
    // RFC 9293, 3.9.2.3, MUST-57: no segment to a broadcast or group is for a connection.
    if (!toUs) {
      count[TCP.tcp_bad_destination]++;
      return;
    }
    const result = segment.read(memory, ip, tcp, length, packet);
    if (result !== INTACT) {
      count[result === SEGMENT_BAD_CHECKSUM ? TCP.tcp_bad_checksum : TCP.tcp_bad_length]++;
      return;
    }
    if (segment.size < segment.length) {
      count[TCP.tcp_gso_in]++;
      count[SEGMENTS_IN] += Math.ceil(segment.length / segment.size) - 1;
    }
    if (segment.hasBadOptions) count[TCP.tcp_bad_options]++;
    const value = table.flows.find(segment.remote, segment.ports);
    if (value >= 0) this.toRow(value << SHIFT);
    else this.toOther(value);
  }

  private toRow(r: number): void {
    if (this.table.i32[r + STATE] === SYN_SENT) this.synSent.receive(r, this.segment);
    else this.synchronized.receive(r, this.segment);
  }

  private toOther(value: number): void {
    const { table, segment } = this;
    if ((segment.ports & 0xffff) === 0 || segment.ports >>> 16 === 0) {
      table.count[TCP.tcp_bad_port]++;
      return;
    }
    const listener = this.listeners.find(segment.ports >>> 16);
    if (value !== NO_FLOW && !this.timeWaiting.receive(-2 - value, segment, listener !== undefined)) return;
    if (listener !== undefined) {
      this.listening.receive(listener, segment);
      return;
    }
    table.count[TCP.tcp_no_flow]++;
    const { flags } = segment;
    if ((flags & TCP_RST) !== 0) return;
    // RFC 9293, 3.5.2, group 1: the RST has a sequence number that the peer believes.
    if ((flags & TCP_ACK) !== 0) this.resets.reset(segment.remote, segment.ports, segment.ack, 0, 0);
    else this.resets.reset(segment.remote, segment.ports, 0, segment.end, TCP_ACK);
  }
}
