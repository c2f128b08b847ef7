/**
 * Puts fragments together (RFC 791, 3.2; RFC 1122, 3.3.2). The datagrams have places of their own, which are all made
 * at the beginning, so that a buffer is released at once, and no peer can take more memory than there is. When all
 * places are taken, the oldest datagram is given up.
 *
 * Fragments that overlap are refused with the whole datagram, also those of it that come later (RFC 5722, 4, says so for
 * IPv6; the attacks are the same). A fragment that came before with the same bytes is no overlap: networks do that.
 */
import { copyBetween, type MemoryViews } from '../../../drivers/memory/index.js';
import { writeU16 } from '../../wire/bytes.js';
import {
  hasMoreIpv4Fragments,
  IP_PROTOCOL_TCP,
  IPV4_DSCP_ECN,
  IPV4_FRAGMENT,
  IPV4_HEADER_BYTES,
  IPV4_TOTAL_LENGTH,
  ipv4Destination,
  ipv4FragmentOffset,
  ipv4Identification,
  ipv4Protocol,
  ipv4Source,
  writeIpv4Checksum,
} from '../../wire/ipv4.js';
import { IP, type IpCounters } from './counters.js';
import { FragmentMap, UNIT_SHIFT, UNITS_KNOWN, UNITS_NEW } from './fragment-map.js';
import { ownMemory } from './own-memory.js';

/** {@link Reassembler.add} returns it when the datagram is not whole. */
export const NOT_WHOLE = -1;

/** The default of how many datagrams can be in pieces at a time. */
export const DEFAULT_DATAGRAMS = 64;
/** As in Linux (ipfrag_time). RFC 1122, 3.3.2 recommends 60 to 120 s; a fragment that is 30 s late is lost. */
export const DEFAULT_REASSEMBLY_MS = 30_000;

/** Longest IP header, and where the payload of a datagram begins in its place. */
const PAYLOAD = 64;
const PLACE_BYTES = PAYLOAD + 0x10000;
const MAX_LENGTH = 0xffff;
const UNIT_BYTES = 1 << UNIT_SHIFT;
/** RFC 3128, 2.1: what a first fragment of TCP has at least, so that flags are not split off to deceive filters. */
const MIN_TCP_FRAGMENT = 16;

const FREE = 0;
const COLLECTING = 1;
const REFUSED = 2;
const UNKNOWN = -1;

// ECN fields (RFC 3168, 5).
const ECN_BITS = 3;
const NOT_ECT = 0;
const CE = 3;

/** A datagram that comes in pieces. */
class Datagram {
  state = FREE;
  source = 0;
  destination = 0;
  /** Identification and protocol. */
  key = 0;
  since = 0;
  /** Bytes of the payload, when the last fragment has come. */
  total = UNKNOWN;
  /** End of the fragment that ends last. */
  end = 0;
  units = 0;
  /** Length of the header; {@link UNKNOWN} until the first fragment has come. */
  headerLength = UNKNOWN;
  /** A bit for each ECN field that was seen. */
  ecn = 0;
}

/** Is told of each datagram that was given up because its time was over, if its first fragment had come. */
export interface ReassemblyTimeout {
  /** @param ip offset of its IP header in {@link Reassembler.memory} */
  reassemblyTimedOut(memory: MemoryViews, ip: number): void;
}

export class Reassembler {
  /** Holds the datagrams. */
  readonly memory: MemoryViews;
  private readonly datagrams: Datagram[] = [];
  private readonly map: FragmentMap;
  private readonly values: Float64Array;
  private used = 0;
  /** When {@link tick} must look at the datagrams, unless there are none: not later than the first of them is over. */
  private due = 0;

  constructor(
    counters: IpCounters,
    private readonly timeout: ReassemblyTimeout,
    capacity = DEFAULT_DATAGRAMS,
    private readonly lifetimeMs = DEFAULT_REASSEMBLY_MS,
  ) {
    this.values = counters.values;
    this.memory = ownMemory(capacity * PLACE_BYTES);
    this.map = new FragmentMap(capacity);
    for (let i = 0; i < capacity; i++) this.datagrams.push(new Datagram());
  }

  /** How many places are taken: by datagrams in pieces, whole ones until {@link release}, and refused ones. */
  get size(): number {
    return this.used;
  }

  /**
   * Takes a fragment; its bytes are copied.
   * @param ip offset of its IP header, which was checked, in `memory`
   * @param ms the time
   * @returns the number of the datagram that is whole now: the caller uses it and then calls {@link release}. Otherwise
   * {@link NOT_WHOLE}
   */
  add(memory: MemoryViews, ip: number, headerLength: number, totalLength: number, ms: number): number {
    const { values } = this;
    const { u8 } = memory;
    const offset = ipv4FragmentOffset(u8, ip);
    const more = hasMoreIpv4Fragments(u8, ip);
    const length = totalLength - headerLength;
    const end = offset + length;
    values[IP.ip_frag_rx]++;
    if (length === 0 || (more && (length & (UNIT_BYTES - 1)) !== 0) || end + IPV4_HEADER_BYTES > MAX_LENGTH) {
      values[IP.ip_drop_frag_malformed]++;
      return NOT_WHOLE;
    }
    if (ipv4Protocol(u8, ip) === IP_PROTOCOL_TCP && splitsTcpHeader(offset, length)) {
      values[IP.ip_drop_frag_tiny]++;
      return NOT_WHOLE;
    }
    const number = this.place(u8, ip, ms);
    const datagram = this.datagrams[number];
    if (datagram.state === REFUSED) {
      values[IP.ip_drop_frag_refused]++;
      return NOT_WHOLE;
    }
    const first = offset >>> UNIT_SHIFT;
    const last = (end + UNIT_BYTES - 1) >>> UNIT_SHIFT;
    const known = this.map.look(number, first, last);
    const to = number * PLACE_BYTES + PAYLOAD;
    const isWrongEnd = more
      ? datagram.total !== UNKNOWN && end > datagram.total
      : (datagram.total !== UNKNOWN && end !== datagram.total) || end < datagram.end;
    if (isWrongEnd || (known !== UNITS_NEW && known !== UNITS_KNOWN)) return this.refuse(datagram);
    if (known === UNITS_KNOWN) {
      // An end in the middle of what has come contradicts it.
      if (!more && datagram.total === UNKNOWN) return this.refuse(datagram);
      if (!isSame(this.memory.u8, to + offset, u8, ip + headerLength, length)) return this.refuse(datagram);
      values[IP.ip_frag_duplicate]++;
      return NOT_WHOLE;
    }
    this.map.enter(number, first, last);
    copyBetween(this.memory, to + offset, memory, ip + headerLength, length);
    datagram.units += last - first;
    datagram.ecn |= 1 << (u8[ip + IPV4_DSCP_ECN] & ECN_BITS);
    if (end > datagram.end) datagram.end = end;
    if (!more) datagram.total = end;
    if (offset === 0) {
      datagram.headerLength = headerLength;
      copyBetween(this.memory, to - headerLength, memory, ip, headerLength);
    }
    return this.isWhole(datagram) ? this.finish(number) : NOT_WHOLE;
  }

  /** Returns the offset of the IP header of a whole datagram in {@link memory}. */
  header(number: number): number {
    return number * PLACE_BYTES + PAYLOAD - this.datagrams[number].headerLength;
  }

  /** Returns the offset of the payload of a whole datagram; a multiple of 4. */
  payload(number: number): number {
    return number * PLACE_BYTES + PAYLOAD;
  }

  /** Returns the bytes of the payload of a whole datagram. */
  payloadLength(number: number): number {
    return this.datagrams[number].total;
  }

  /** Frees the place of a whole datagram. */
  release(number: number): void {
    this.free(this.datagrams[number]);
  }

  /** Gives up the datagrams whose time is over. */
  tick(ms: number): void {
    if (this.used === 0 || ((ms - this.due) | 0) < 0) return;
    let longest = 0;
    for (let number = 0; number < this.datagrams.length; number++) {
      const datagram = this.datagrams[number];
      if (datagram.state === FREE) continue;
      const age = (ms - datagram.since) | 0;
      if (age < this.lifetimeMs) {
        if (age > longest) longest = age;
        continue;
      }
      if (datagram.state === COLLECTING) {
        this.values[IP.ip_drop_frag_timeout]++;
        // RFC 1122, 3.3.2: the message quotes the first fragment, so there is none without it.
        if (datagram.headerLength !== UNKNOWN) this.timeout.reassemblyTimedOut(this.memory, this.header(number));
      }
      this.free(datagram);
    }
    this.due = (ms + this.lifetimeMs - longest) | 0;
  }

  /** Milliseconds until {@link tick} may have something to do; Infinity when nothing waits. */
  msToNext(ms: number): number {
    return this.used === 0 ? Number.POSITIVE_INFINITY : Math.max(0, (this.due - ms) | 0);
  }

  /** Finds the datagram of a fragment, or gives it a place. */
  private place(u8: Uint8Array, ip: number, ms: number): number {
    const source = ipv4Source(u8, ip);
    const destination = ipv4Destination(u8, ip);
    const key = (ipv4Identification(u8, ip) << 8) | ipv4Protocol(u8, ip);
    const { datagrams } = this;
    for (let i = 0; i < datagrams.length; i++) {
      const { state, key: other, source: from, destination: to } = datagrams[i];
      if (state !== FREE && other === key && from === source && to === destination) return i;
    }
    const number = this.freePlace(ms);
    const datagram = datagrams[number];
    datagram.state = COLLECTING;
    datagram.source = source;
    datagram.destination = destination;
    datagram.key = key;
    datagram.since = ms;
    datagram.total = UNKNOWN;
    datagram.end = 0;
    datagram.units = 0;
    datagram.headerLength = UNKNOWN;
    datagram.ecn = 0;
    this.map.clear(number);
    if (this.used++ === 0) this.due = (ms + this.lifetimeMs) | 0;
    return number;
  }

  /** Returns a free place; if there is none, that of a refused datagram or else of the oldest one. */
  private freePlace(ms: number): number {
    const { datagrams } = this;
    let oldest = 0;
    let age = -1;
    let refused = UNKNOWN;
    for (let i = 0; i < datagrams.length; i++) {
      const { state, since } = datagrams[i];
      if (state === FREE) return i;
      if (state === REFUSED && refused === UNKNOWN) refused = i;
      if (((ms - since) | 0) > age) {
        age = (ms - since) | 0;
        oldest = i;
      }
    }
    const number = refused === UNKNOWN ? oldest : refused;
    if (refused === UNKNOWN) this.values[IP.ip_drop_frag_replaced]++;
    this.free(datagrams[number]);
    return number;
  }

  private isWhole({ total, headerLength, units }: Datagram): boolean {
    return total !== UNKNOWN && headerLength !== UNKNOWN && units === (total + UNIT_BYTES - 1) >>> UNIT_SHIFT;
  }

  /** Makes the header that of the whole datagram. */
  private finish(number: number): number {
    const datagram = this.datagrams[number];
    const { u8 } = this.memory;
    const ip = this.header(number);
    const length = datagram.headerLength + datagram.total;
    if (length > MAX_LENGTH) {
      this.values[IP.ip_drop_frag_malformed]++;
      this.free(datagram);
      return NOT_WHOLE;
    }
    // RFC 3168, 5.3: congestion that one fragment met counts for the datagram; a mix without ECN is refused.
    if ((datagram.ecn & (1 << CE)) !== 0) {
      if ((datagram.ecn & (1 << NOT_ECT)) !== 0) {
        this.values[IP.ip_drop_frag_ecn]++;
        this.free(datagram);
        return NOT_WHOLE;
      }
      u8[ip + IPV4_DSCP_ECN] |= CE;
    }
    writeU16(u8, ip + IPV4_TOTAL_LENGTH, length);
    writeU16(u8, ip + IPV4_FRAGMENT, 0);
    writeIpv4Checksum(this.memory, ip);
    this.values[IP.ip_frag_reassembled]++;
    return number;
  }

  /** RFC 5722, 4: fragments that come later are refused, too, until the time of the datagram is over. */
  private refuse(datagram: Datagram): number {
    datagram.state = REFUSED;
    this.values[IP.ip_drop_frag_overlap]++;
    return NOT_WHOLE;
  }

  private free(datagram: Datagram): void {
    datagram.state = FREE;
    this.used--;
  }
}

/** RFC 3128, 2.1. */
function splitsTcpHeader(offset: number, length: number): boolean {
  return offset === 0 ? length < MIN_TCP_FRAGMENT : offset === UNIT_BYTES;
}

function isSame(a: Uint8Array, atA: number, b: Uint8Array, atB: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[atA + i] !== b[atB + i]) return false;
  return true;
}
