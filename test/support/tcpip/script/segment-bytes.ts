/** TCP segments between text and bytes: sequence numbers and timestamps become relative, and back. */
import { readI32, readU16, writeI32, writeU16 } from '../../../../src/wire/bytes.js';
import {
  IP_PROTOCOL_TCP,
  IPV4_DSCP_ECN,
  IPV4_HEADER_BYTES,
  ipv4HeaderLength,
  writeIpv4Checksum,
  writeIpv4Header,
} from '../../../../src/wire/ipv4.js';
import { wireMemory } from '../../../../src/wire/memory.js';
import {
  TCP_ACK,
  TCP_CHECKSUM,
  TCP_DATA_OFFSET,
  TCP_HEADER_BYTES,
  TCP_URG,
  TCP_URGENT_POINTER,
  tcpAcknowledgement,
  tcpFlags,
  tcpHeaderLength,
  tcpSequence,
  tcpWindow,
  writeTcpChecksum,
  writeTcpHeader,
} from '../../../../src/wire/tcp.js';
import { matchPatternAt, writePatternAt } from '../pattern.js';
import { ECN_FIELDS, type Segment, type SegmentOption, type Value } from './segment-text.js';

/** What the numbers of a segment are relative to: those of its sender, and those of its receiver. */
export interface Bases {
  readonly seq: number;
  readonly ack: number;
  /** Added to `TS val`, and to `ecr` unless that is 0. */
  readonly val: number;
  readonly ecr: number;
  /** Stands for `ecr last`, absolute. */
  readonly lastVal: number;
}

export interface Addresses {
  readonly source: number;
  readonly destination: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

// Option kinds: RFC 9293, 3.2; RFC 7323, 2.2 and 3.2; RFC 2018, 2 and 3.
const EOL = 0;
const NOP = 1;
const MSS = 2;
const WSCALE = 3;
const SACK_OK = 4;
const SACK = 5;
const TIMESTAMPS = 8;

const DEFAULT_WINDOW = 65535;

/**
 * Makes the IP packet of a segment. Its data follow from their relative sequence numbers ({@link payloadPlace}), unless
 * they are given.
 */
export function encodeSegment(segment: Segment, bases: Bases, addresses: Addresses, payload?: Uint8Array): Uint8Array {
  const options = segment.options?.flatMap((option) => optionBytes(option, bases)) ?? [];
  while (options.length % 4 !== 0) options.push(EOL);
  const headerLength = TCP_HEADER_BYTES + options.length;
  const seq = given(segment.seq, 'seq');
  const dataLength = payload?.length ?? given(segment.length, 'length');
  const memory = wireMemory(new Uint8Array(IPV4_HEADER_BYTES + headerLength + dataLength));
  const { u8 } = memory;
  const tcp = IPV4_HEADER_BYTES;
  const length = u8.length - tcp;
  writeIpv4Header(memory, 0, u8.length, IP_PROTOCOL_TCP, addresses.source, addresses.destination);
  u8[IPV4_DSCP_ECN] = segment.ecn === undefined ? 0 : ECN_FIELDS.indexOf(segment.ecn);
  writeIpv4Checksum(memory, 0);
  u8.set(options, tcp + TCP_HEADER_BYTES);
  if (payload !== undefined) u8.set(payload, tcp + headerLength);
  else writePatternAt(u8, tcp + headerLength, dataLength, payloadPlace(seq));
  const ack = segment.ack === undefined ? 0 : (given(segment.ack, 'ack') + bases.ack) | 0;
  const { sourcePort, destinationPort } = addresses;
  const window = given(segment.win ?? DEFAULT_WINDOW, 'win');
  writeTcpHeader(
    memory,
    0,
    tcp,
    length,
    headerLength,
    sourcePort,
    destinationPort,
    (seq + bases.seq) | 0,
    ack,
    segment.flags,
    window,
  );
  if (segment.urg !== undefined) writeU16(u8, tcp + TCP_URGENT_POINTER, given(segment.urg, 'urg'));
  if (segment.doff !== undefined) u8[tcp + TCP_DATA_OFFSET] = segment.doff << 4;
  writeTcpChecksum(memory, 0, tcp, length);
  if (segment.badsum === true) u8[tcp + TCP_CHECKSUM]! ^= 0xff;
  return u8;
}

/** What {@link decodeSegment} has found besides what the text can say. */
export interface Decoded {
  readonly segment: Segment;
  /** The first byte of data that is not the expected one, from the first byte of data; undefined: all are right. */
  readonly wrongByte: number | undefined;
  /** `TS val` as it is in the segment; undefined without timestamps. */
  readonly rawVal: number | undefined;
}

/** Reads an intact IP packet with a segment. All numbers are known, and every option is listed. */
export function decodeSegment(packet: Uint8Array, bases: Bases): Decoded {
  const tcp = ipv4HeaderLength(packet, 0);
  const data = tcp + tcpHeaderLength(packet, tcp);
  const flags = tcpFlags(packet, tcp);
  const seq = (tcpSequence(packet, tcp) - bases.seq) | 0;
  const length = packet.length - data;
  const options = readOptions(packet, tcp + TCP_HEADER_BYTES, data, bases);
  const place = payloadPlace(seq);
  const right = matchPatternAt(packet, data, length, place);
  const segment: Segment = {
    ecn: ECN_FIELDS[packet[IPV4_DSCP_ECN]! & 3]!,
    dscp: packet[IPV4_DSCP_ECN]! >>> 2,
    flags,
    seq,
    length,
    ...((flags & TCP_ACK) === 0 ? {} : { ack: (tcpAcknowledgement(packet, tcp) - bases.ack) | 0 }),
    win: tcpWindow(packet, tcp),
    ...((flags & TCP_URG) === 0 ? {} : { urg: readU16(packet, tcp + TCP_URGENT_POINTER) }),
    options,
  };
  const stamps = options.find((option) => option.kind === 'TS');
  return {
    segment,
    wrongByte: right === length ? undefined : right,
    rawVal: stamps === undefined ? undefined : ((stamps.val as number) + bases.val) | 0,
  };
}

/** The place in the stream of the byte with a relative sequence number: the SYN has number 0. */
export function payloadPlace(seq: number): number {
  return seq - 1;
}

function given(value: Value, name: string): number {
  if (typeof value === 'number') return value;
  throw new SyntaxError(`a segment to be sent needs a number for ${name}, found '${value}'`);
}

function optionBytes(option: SegmentOption, bases: Bases): number[] {
  switch (option.kind) {
    case 'eol':
      return [EOL];
    case 'nop':
      return [NOP];
    case 'sackOK':
      return [SACK_OK, 2];
    case 'mss':
      return [MSS, 4, ...word16(given(option.value, 'mss'))];
    case 'wscale':
      return [WSCALE, 3, given(option.value, 'wscale')];
    case 'TS': {
      const val = given(option.val, 'TS val') + bases.val;
      const { ecr } = option;
      // Before the other side has sent a timestamp, the field is 0 (RFC 7323, 3.2).
      const echo = ecr === 'last' ? bases.lastVal : ecr === 0 ? 0 : given(ecr, 'ecr') + bases.ecr;
      return [TIMESTAMPS, 10, ...word32(val), ...word32(echo)];
    }
    case 'sack': {
      const edges = option.blocks.flatMap(([start, end]) => [...word32(start + bases.ack), ...word32(end + bases.ack)]);
      return [SACK, 2 + edges.length, ...edges];
    }
    case 'raw':
      return [...option.bytes];
  }
}

function readOptions(packet: Uint8Array, from: number, end: number, bases: Bases): SegmentOption[] {
  const options: SegmentOption[] = [];
  for (let at = from; at < end; ) {
    const kind = packet[at]!;
    const size = kind === EOL || kind === NOP ? 1 : (packet[at + 1] ?? 0);
    if (size === 0 || at + size > end || (size === 1 && kind > NOP)) {
      options.push({ kind: 'raw', bytes: [...packet.subarray(at, end)] });
      break;
    }
    options.push(readOption(packet, at, kind, size, bases));
    at += size;
  }
  return options;
}

function readOption(packet: Uint8Array, at: number, kind: number, size: number, bases: Bases): SegmentOption {
  if (kind === EOL) return { kind: 'eol' };
  if (kind === NOP) return { kind: 'nop' };
  if (kind === MSS && size === 4) return { kind: 'mss', value: readU16(packet, at + 2) };
  if (kind === WSCALE && size === 3) return { kind: 'wscale', value: packet[at + 2]! };
  if (kind === SACK_OK && size === 2) return { kind: 'sackOK' };
  if (kind === TIMESTAMPS && size === 10) {
    const ecr = readI32(packet, at + 6);
    return { kind: 'TS', val: (readI32(packet, at + 2) - bases.val) | 0, ecr: ecr === 0 ? 0 : (ecr - bases.ecr) | 0 };
  }
  if (kind === SACK && size % 8 === 2) {
    const blocks: [number, number][] = [];
    for (let i = at + 2; i < at + size; i += 8) {
      blocks.push([(readI32(packet, i) - bases.ack) | 0, (readI32(packet, i + 4) - bases.ack) | 0]);
    }
    return { kind: 'sack', blocks };
  }
  return { kind: 'raw', bytes: [...packet.subarray(at, at + size)] };
}

const word16 = (value: number): number[] => [(value >>> 8) & 0xff, value & 0xff];

function word32(value: number): number[] {
  const bytes = new Uint8Array(4);
  writeI32(bytes, 0, value);
  return [...bytes];
}
