/** Fragments through the reassembler, against a model that keeps a list of units and an array of bytes per datagram. */
import { createIpCounters, IP } from '../../../src/tcpip/ip/counters.js';
import { ownMemory } from '../../../src/tcpip/ip/own-memory.js';
import { NOT_WHOLE, Reassembler } from '../../../src/tcpip/ip/reassembly.js';
import { isIpv4Intact, writeIpv4Checksum, writeIpv4Header } from '../../../src/wire/ipv4.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const CAPACITY = 3;
const LIFETIME_MS = 1000;
const MAX_FRAGMENTS = 48;
const SOURCE = 0x0a000002;
const US = 0x0a000001;
const PROTOCOLS = [17, 6];
/** The fragment lies here; what is behind it must not matter. */
const AT = 64;

interface ModelDatagram {
  key: number;
  since: number;
  isRefused: boolean;
  units: Set<number>;
  bytes: Uint8Array;
  total: number;
  end: number;
  headerLength: number;
  ecn: Set<number>;
}

export const ipFragments: FuzzTarget = {
  name: 'ip-fragments',
  summary: 'fragments with any place, length, flags, order and time: put together, refused or given up as a model says',
  maxBytes: 512,
  prepare(feedback) {
    const memory = ownMemory(0x10000 + 256);
    const { u8 } = memory;

    const run = (input: Input): void => {
      const counters = createIpCounters();
      const { values } = counters;
      const timedOut: number[] = [];
      const reassembler = new Reassembler(
        counters,
        { reassemblyTimedOut: (own, ip) => void timedOut.push((own.u8[ip + 4]! << 8) | own.u8[ip + 5]!) },
        CAPACITY,
        LIFETIME_MS,
      );
      reassembler.memory.u8.fill(0xa5);
      const slots: (ModelDatagram | null)[] = new Array<null>(CAPACITY).fill(null);
      let ms = input.bool() ? 0x7fff_ff00 : 0;
      let accepted = 0;
      let whole = 0;
      let gone = 0;

      const expire = (): void => {
        const expected: number[] = [];
        for (const [i, slot] of slots.entries()) {
          if (slot === null || ((ms - slot.since) | 0) < LIFETIME_MS) continue;
          if (!slot.isRefused && slot.headerLength > 0) expected.push(slot.key >>> 8);
          slots[i] = null;
        }
        reassembler.tick(ms);
        check(timedOut.join() === expected.join(), `told of ${timedOut.join()} instead of ${expected.join()}`);
        timedOut.length = 0;
        check(reassembler.size === slots.filter((slot) => slot !== null).length, 'another number of places is taken');
        const next = reassembler.msToNext(ms);
        check(
          slots.every((slot) => slot === null || next <= LIFETIME_MS - ((ms - slot.since) | 0)),
          'it sleeps too long',
        );
      };

      const slotOf = (key: number): ModelDatagram => {
        const known = slots.find((slot) => slot?.key === key);
        if (known) return known;
        let at = slots.indexOf(null);
        if (at < 0) at = slots.findIndex((slot) => slot!.isRefused);
        if (at < 0) {
          gone++;
          const ages = slots.map((slot) => (ms - slot!.since) | 0);
          at = ages.indexOf(Math.max(...ages));
        }
        const fresh = { key, since: ms, isRefused: false, units: new Set<number>(), bytes: new Uint8Array(0x10000) };
        const slot = { ...fresh, total: -1, end: 0, headerLength: 0, ecn: new Set<number>() };
        slots[at] = slot;
        return slot;
      };

      for (let n = 0; n < MAX_FRAGMENTS && input.left > 0; n++) {
        const shape = input.u8();
        if ((shape & 7) === 7) {
          const wait = input.u8();
          ms = (ms + wait * 5) | 0;
          expire();
          continue;
        }
        const id = input.u8() & 7;
        const protocol = PROTOCOLS[(shape >>> 3) & 1]!;
        const place = input.u8();
        const unit = (shape & 0x10) === 0 ? place & 15 : (place << 5) | (input.u8() & 31);
        const size = input.u8();
        const length = (shape & 0x20) === 0 ? (size & 7) * 8 : (shape & 0x40) === 0 ? size : size * 6;
        const more = (input.u8() & 1) !== 0;
        const last = input.u8();
        const headerLength = (last & 1) === 0 ? 20 : 28;
        const fill = (last >>> 1) & 1;
        const ecn = (last >>> 2) & 3;
        // The bytes follow from their place, so that fragments agree unless `fill` says otherwise.
        const offset = unit * 8;
        writeIpv4Header(memory, AT, headerLength + length, protocol, SOURCE, US);
        u8.fill(1, AT + 20, AT + headerLength);
        u8[AT] = 0x40 | (headerLength / 4);
        u8[AT + 1] = ecn;
        u8[AT + 5] = id;
        u8[AT + 6] = (more ? 0x20 : 0) | (unit >>> 8);
        u8[AT + 7] = unit;
        writeIpv4Checksum(memory, AT);
        for (let i = 0; i < length; i++) u8[AT + headerLength + i] = (offset + i) * 7 + fill;
        u8[AT + headerLength + length] = n;

        const before = values.slice();
        const grew = (counter: number): boolean => values[counter]! > before[counter]!;
        const number = reassembler.add(memory, AT, headerLength, headerLength + length, ms);
        const end = offset + length;
        if (length === 0 || (more && length % 8 !== 0) || end > 65_515) {
          check(number === NOT_WHOLE && grew(IP.ip_drop_frag_malformed), 'a malformed fragment is taken');
          continue;
        }
        if (protocol === 6 && (offset === 8 || (offset === 0 && length < 16))) {
          check(number === NOT_WHOLE && grew(IP.ip_drop_frag_tiny), 'a tiny fragment is taken');
          continue;
        }
        const slot = slotOf((id << 8) | protocol);
        if (slot.isRefused) {
          check(number === NOT_WHOLE && grew(IP.ip_drop_frag_refused), 'a refused datagram goes on');
          continue;
        }
        const units = Array.from({ length: Math.ceil(length / 8) }, (_, i) => unit + i);
        const present = units.filter((each) => slot.units.has(each)).length;
        const bytes = u8.subarray(AT + headerLength, AT + headerLength + length);
        const isSame = bytes.every((byte, i) => slot.bytes[offset + i] === byte);
        const contradicts = more
          ? slot.total >= 0 && end > slot.total
          : (slot.total >= 0 && slot.total !== end) || end < slot.end;
        const isKnown = present === units.length;
        if (contradicts || (present > 0 && !(isKnown && isSame && (more || slot.total === end)))) {
          check(number === NOT_WHOLE && grew(IP.ip_drop_frag_overlap), 'an overlap is taken');
          slot.isRefused = true;
          continue;
        }
        if (isKnown) {
          check(number === NOT_WHOLE && grew(IP.ip_frag_duplicate), 'a duplicate is not told apart');
          continue;
        }
        accepted++;
        for (const each of units) slot.units.add(each);
        slot.bytes.set(bytes, offset);
        slot.end = Math.max(slot.end, end);
        if (!more) slot.total = end;
        if (offset === 0) slot.headerLength = headerLength;
        slot.ecn.add(ecn);
        if (slot.total < 0 || slot.headerLength === 0 || slot.units.size !== Math.ceil(slot.total / 8)) {
          check(number === NOT_WHOLE, 'a datagram is whole too early');
          continue;
        }
        slots[slots.indexOf(slot)] = null;
        if (slot.total + slot.headerLength > 65_535) {
          check(number === NOT_WHOLE && grew(IP.ip_drop_frag_malformed), 'too long a datagram is whole');
          continue;
        }
        if (slot.ecn.has(3) && slot.ecn.has(0)) {
          check(number === NOT_WHOLE && grew(IP.ip_drop_frag_ecn), 'congestion beside a fragment without ECN');
          continue;
        }
        whole++;
        check(number !== NOT_WHOLE, 'a datagram is not whole');
        const ip = reassembler.header(number);
        const payload = reassembler.payload(number);
        check(payload - ip === slot.headerLength && (payload & 3) === 0, 'the payload lies elsewhere');
        check(reassembler.payloadLength(number) === slot.total, 'another length');
        check(isIpv4Intact(reassembler.memory, ip, slot.headerLength + slot.total), 'the header is not intact');
        const got = reassembler.memory.u8.subarray(payload, payload + slot.total);
        check(
          got.every((byte, i) => slot.bytes[i] === byte),
          'other bytes',
        );
        check((reassembler.memory.u8[ip + 1]! === 3) === slot.ecn.has(3) || !slot.ecn.has(3), 'congestion is lost');
        reassembler.release(number);
      }
      check(values[IP.ip_frag_reassembled] === whole, 'another number of datagrams');
      check(values[IP.ip_drop_frag_replaced] === gone, 'another number was given up');
      ms = (ms + LIFETIME_MS) | 0;
      expire();
      check(reassembler.size === 0, 'a datagram stays for ever');
      let state = Math.min(3, whole) * 4 + Math.min(3, accepted);
      for (const counter of [IP.ip_drop_frag_overlap, IP.ip_drop_frag_refused, IP.ip_drop_frag_replaced]) {
        state = state * 2 + Math.min(1, values[counter]!);
      }
      feedback.mark(state * 2 + Math.min(1, values[IP.ip_drop_frag_timeout]!));
    };
    return { run };
  },
};
