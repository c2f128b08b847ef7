/** Segments for connections in TIME-WAIT (RFC 9293, 3.10.7.4). A RST does not end the wait (RFC 1337, 3 F1). */
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from '../../../wire/tcp.js';
import { TCP } from '../counters.js';
import type { Resets } from '../output/resets.js';
import type { Table } from '../state/table.js';
import {
  type TimeWait,
  TW_FLAG_TIMESTAMPS,
  TW_FLAGS,
  TW_RCV_NXT,
  TW_RCV_WND,
  TW_SND_NXT,
  TW_TS_OFFSET,
  TW_TS_RECENT,
} from '../state/time-wait.js';
import type { Listening } from './listening.js';
import type { Segment } from './segment.js';

/** Largest value of the window field. */
const MAX_FIELD = 0xffff;

export class TimeWaiting {
  constructor(
    private readonly table: Table,
    private readonly timeWait: TimeWait,
    private readonly resets: Resets,
    private readonly listening: Listening,
  ) {}

  /**
   * Processes a segment.
   * @param index of the entry
   * @param hasListener whether a listener has the port
   * @returns true when the entry has ended, and the segment is a SYN for the listener
   */
  receive(index: number, segment: Segment, hasListener: boolean): boolean {
    const { table, timeWait } = this;
    const { words } = timeWait;
    const { flags } = segment;
    if ((flags & TCP_RST) !== 0) return false;
    const at = timeWait.at(index);
    if ((flags & (TCP_SYN | TCP_ACK | TCP_FIN)) === TCP_SYN && hasListener && this.isNewer(at, segment)) {
      this.listening.startAfter(words[at + TW_SND_NXT]);
      timeWait.remove(index);
      table.count[TCP.tcp_time_wait_reused]++;
      return true;
    }
    // A segment without data at the expected place needs no answer: two such ends would answer each other for ever.
    if (segment.seq === segment.end && segment.seq === words[at + TW_RCV_NXT]) return false;
    if ((flags & TCP_FIN) !== 0 && segment.end === words[at + TW_RCV_NXT]) timeWait.touch(index, table.clock.ms);
    const hasTimestamps = (words[at + TW_FLAGS] & TW_FLAG_TIMESTAMPS) !== 0;
    const value = (table.clock.ms + words[at + TW_TS_OFFSET]) | 0;
    this.resets.acknowledge(
      segment.remote,
      segment.ports,
      words[at + TW_SND_NXT],
      words[at + TW_RCV_NXT],
      Math.min(words[at + TW_RCV_WND], MAX_FIELD),
      hasTimestamps,
      value,
      words[at + TW_TS_RECENT],
    );
    return false;
  }

  /** RFC 6191, 2: a SYN that cannot be an old one, by its timestamp or its sequence number. */
  private isNewer(at: number, segment: Segment): boolean {
    const { words } = this.timeWait;
    if (segment.hasTimestamps && (words[at + TW_FLAGS] & TW_FLAG_TIMESTAMPS) !== 0) {
      const newer = (segment.tsValue - words[at + TW_TS_RECENT]) | 0;
      if (newer !== 0) return newer > 0;
    }
    return ((segment.seq - words[at + TW_RCV_NXT]) | 0) > 0;
  }
}
