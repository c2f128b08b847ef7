/**
 * Connections in TIME_WAIT (RFC 9293, 3.3.2 and 3.6.1). They have left the table of rows: here each takes 48 bytes, with
 * what is needed to answer a retransmitted FIN (TIME_WAIT segment processing, 3.10.7.4), and to let the peer open the
 * connection again (RFC 6191).
 *
 * All wait equally long. So a list in the order of their last FIN is in the order of their ends, and the one that ends
 * next is always its first. The entries are words of one array; freed entries are linked by their NEXT words.
 */
import type { FlowTable } from './flow-table.js';

/** Words of an entry. */
const WORDS = 12;

// What an entry holds: `words[timeWait.at(index) + TW_…]`.

/** The peer's address. */
export const TW_REMOTE = 0;
/** (local port << 16) | remote port. */
export const TW_PORTS = 1;
/** SND.NXT: after our FIN. */
export const TW_SND_NXT = 2;
/** RCV.NXT: after the peer's FIN. */
export const TW_RCV_NXT = 3;
/** RCV.WND in bytes, unscaled, as the last ACK announced it. */
export const TW_RCV_WND = 4;
/** TW_FLAG_ bits. */
export const TW_FLAGS = 5;
/** TS.Recent. */
export const TW_TS_RECENT = 6;
/** What is added to clock.ms for our timestamps. */
export const TW_TS_OFFSET = 7;
/** When the entry ends, in ms. */
export const TW_EXPIRY = 8;
/** The next entry in the list plus 1, or 0; of a free entry the next free one. */
const NEXT = 9;
/** The previous entry in the list plus 1, or 0. */
const PREVIOUS = 10;

/** The connection used timestamps. */
export const TW_FLAG_TIMESTAMPS = 1;

/** The number of a TIME_WAIT entry for its value in the flow table, and the other way round. */
export function timeWaitValue(index: number): number {
  return -2 - index;
}

export class TimeWait {
  readonly words: Int32Array;
  /** How many connections wait. */
  size = 0;
  /** How many connections were forgotten early, because the table was full. */
  recycled = 0;
  /** The list, in the order of expiry: numbers plus 1, or 0. */
  private first = 0;
  private last = 0;
  /** The free entry that was used last, plus 1, or 0; and how many entries were never used. */
  private free = 0;
  private untouched = 0;

  /**
   * @param capacity most connections that wait; 1 or more
   * @param durationMs how long they wait: 2 MSL
   * @param flows the table that has their flows. Its capacity must be that of this table more than the number of rows.
   */
  constructor(
    readonly capacity: number,
    private readonly durationMs: number,
    private readonly flows: FlowTable,
  ) {
    this.words = new Int32Array(new ArrayBuffer(4 * capacity * WORDS));
  }

  /** Offset of the first word of an entry in {@link words}. */
  at(index: number): number {
    return index * WORDS;
  }

  /**
   * Adds a connection and enters it into the flow table, also in place of its row. When the table is full, it forgets
   * the connection that would end next, and counts it in {@link recycled}.
   * @param receiveWindow bytes, unscaled
   * @param flags TW_FLAG_ bits
   * @param nowMs clock.ms
   * @returns the number of the entry; -1 when the flow table is full, and then the connection is simply closed
   */
  add(
    remote: number,
    ports: number,
    sendNext: number,
    receiveNext: number,
    receiveWindow: number,
    flags: number,
    tsRecent: number,
    tsOffset: number,
    nowMs: number,
  ): number {
    if (this.size === this.capacity) {
      this.remove(this.first - 1);
      this.recycled++;
    }
    let index = this.free - 1;
    if (index < 0) index = this.untouched;
    const value = timeWaitValue(index);
    if (!this.flows.replace(remote, ports, value) && !this.flows.insert(remote, ports, value)) return -1;
    const { words } = this;
    const entry = index * WORDS;
    if (this.free === 0) this.untouched++;
    else this.free = words[entry + NEXT];
    words[entry + TW_REMOTE] = remote;
    words[entry + TW_PORTS] = ports;
    words[entry + TW_SND_NXT] = sendNext;
    words[entry + TW_RCV_NXT] = receiveNext;
    words[entry + TW_RCV_WND] = receiveWindow;
    words[entry + TW_FLAGS] = flags;
    words[entry + TW_TS_RECENT] = tsRecent;
    words[entry + TW_TS_OFFSET] = tsOffset;
    this.append(index, nowMs);
    this.size++;
    return index;
  }

  /** Lets a connection wait anew, because the peer has sent its FIN again. */
  touch(index: number, nowMs: number): void {
    this.unlink(index);
    this.append(index, nowMs);
  }

  /** Forgets a connection, also in the flow table. */
  remove(index: number): void {
    const { words } = this;
    const entry = index * WORDS;
    this.unlink(index);
    this.flows.remove(words[entry + TW_REMOTE], words[entry + TW_PORTS]);
    words[entry + NEXT] = this.free;
    this.free = index + 1;
    this.size--;
  }

  /**
   * Forgets the connections whose time has come.
   * @returns how many
   */
  expire(nowMs: number): number {
    let expired = 0;
    while (this.first !== 0 && ((this.words[(this.first - 1) * WORDS + TW_EXPIRY] - nowMs) | 0) <= 0) {
      this.remove(this.first - 1);
      expired++;
    }
    return expired;
  }

  /** Forgets all connections. */
  clear(): void {
    while (this.first !== 0) this.remove(this.first - 1);
  }

  /** Milliseconds until {@link expire} has something to do: 0 or more; Infinity when no connection waits. */
  msToNext(nowMs: number): number {
    if (this.first === 0) return Number.POSITIVE_INFINITY;
    const ms = (this.words[(this.first - 1) * WORDS + TW_EXPIRY] - nowMs) | 0;
    return ms > 0 ? ms : 0;
  }

  /** Returns the entries that wait since the shortest time, the newest first: their offsets in {@link words}, at most `most`. */
  newest(most: number): number[] {
    const entries: number[] = [];
    for (let at = this.last; at !== 0 && entries.length < most; at = this.words[(at - 1) * WORDS + PREVIOUS])
      entries.push((at - 1) * WORDS);
    return entries;
  }

  private append(index: number, nowMs: number): void {
    const { words } = this;
    const entry = index * WORDS;
    words[entry + TW_EXPIRY] = nowMs + this.durationMs;
    words[entry + NEXT] = 0;
    words[entry + PREVIOUS] = this.last;
    if (this.last === 0) this.first = index + 1;
    else words[(this.last - 1) * WORDS + NEXT] = index + 1;
    this.last = index + 1;
  }

  private unlink(index: number): void {
    const { words } = this;
    const next = words[index * WORDS + NEXT];
    const previous = words[index * WORDS + PREVIOUS];
    if (previous === 0) this.first = next;
    else words[(previous - 1) * WORDS + NEXT] = next;
    if (next === 0) this.last = previous;
    else words[(next - 1) * WORDS + PREVIOUS] = previous;
  }
}
