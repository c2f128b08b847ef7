/**
 * Options of TCP, malformed in every way: read as a simple reader reads them, whatever lies behind the header, and the
 * connection that gets them stays sound.
 */

import { NO_OPTION, SEGMENT_INTACT, Segment } from '../../../src/tcpip/tcp/input/segment.js';
import { readI32, readU16, writeI32 } from '../../../src/wire/bytes.js';
import { IPV4_HEADER_BYTES } from '../../../src/wire/ipv4.js';
import { TCP_ACK, TCP_PSH, TCP_SYN } from '../../../src/wire/tcp.js';
import { NO_SEGMENT, writeSegment } from '../../support/tcpip/limits/segment-fields.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';
import { marksOf, TcpCase } from '../tcp-case.js';

const MAX_OPTIONS = 40;
const PAYLOAD = 64;
/** Kinds that a stack may know, and some that ours does not. */
const KINDS = [0, 1, 2, 3, 4, 5, 8, 2, 3, 4, 5, 8, 6, 7, 14, 19, 27, 28, 30, 34, 69, 253, 254, 255];
/** The right length of each kind; of SACK with one block. */
const LENGTHS: Readonly<Record<number, number>> = { 2: 4, 3: 3, 4: 2, 5: 10, 8: 10, 28: 4, 34: 10 };
const MAX_SEGMENTS = 6;

interface Read {
  mss: number;
  scale: number;
  sackPermitted: boolean;
  timestamps: string;
  sacks: string;
  bad: boolean;
}

export const tcpOptions: FuzzTarget = {
  name: 'tcp-options',
  summary: 'options of TCP malformed in every way: read as a simple reader does, whatever lies behind them',
  maxBytes: 256,
  prepare(feedback) {
    const buffer = new ArrayBuffer(256);
    const memory = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
    const { u8 } = memory;
    const segment = new Segment(u8);
    const options = new Uint8Array(MAX_OPTIONS);
    const payload = new Uint8Array(PAYLOAD);
    const mark = (state: number): void => feedback.mark(state);

    const read = (optionBytes: number, fill: number): Read => {
      u8.fill(fill);
      payload.fill(fill);
      const length = writeSegment(
        memory,
        0,
        { ...NO_SEGMENT, remotePort: 1, optionBytes, length: 8 },
        options,
        payload,
        1,
      );
      const result = segment.read(memory, 0, IPV4_HEADER_BYTES, length - IPV4_HEADER_BYTES, null);
      check(result === SEGMENT_INTACT, `an intact segment is refused: ${result}`);
      const { mss, scale, sackPermitted, hasTimestamps, tsValue, tsEcho, sacks, hasBadOptions: bad } = segment;
      let blocks = '';
      for (let i = 0; i < sacks.count; i++) blocks += ` ${sacks.start[i]}:${sacks.end[i]}`;
      return { mss, scale, sackPermitted, timestamps: hasTimestamps ? `${tsValue} ${tsEcho}` : '', sacks: blocks, bad };
    };

    const run = (input: Input): void => {
      const isConnected = (input.u8() & 7) === 0;
      const one = isConnected ? new TcpCase(input) : null;
      for (let n = 0; n < MAX_SEGMENTS && (n === 0 || input.left > 0); n++) {
        const optionBytes = makeOptions(input, options);
        const first = read(optionBytes, 0);
        const expected = JSON.stringify(readSlowly(options.subarray(0, optionBytes)));
        check(JSON.stringify(first) === expected, `read ${JSON.stringify(first)}, expected ${expected}`);
        check(JSON.stringify(read(optionBytes, 0xff)) === expected, 'bytes behind the options count');
        mark((optionBytes << 8) | (first.bad ? 1 : 0) | (first.mss < 0 ? 0 : 2) | (first.scale < 0 ? 0 : 4));
        if (one === null) continue;
        one.bare.options.set(options);
        const port = 1000 + (input.u8() & 1);
        one.withOptions([TCP_SYN, TCP_ACK, TCP_ACK | TCP_PSH][Math.min(n, 2)]!, port, optionBytes, n > 1 ? 10 : 0);
        one.settle();
      }
      if (one === null) return;
      marksOf(one, mark);
      one.finish(true);
    };
    return { run };
  },
};

/** Fills `options`; returns how many bytes they have, a multiple of 4. */
function makeOptions(input: Input, options: Uint8Array): number {
  options.fill(0);
  let at = 0;
  const count = input.u8() & 7;
  for (let i = 0; i < count && at < MAX_OPTIONS; i++) {
    const kind = KINDS[input.below(KINDS.length)]!;
    options[at++] = kind;
    if (kind < 2) continue;
    const shape = input.u8();
    // Mostly the right length; otherwise one too short, one too long, none, or any.
    let length = LENGTHS[kind] ?? 2 + (shape >>> 5);
    if (kind === 5) length += 8 * ((shape >>> 5) & 3);
    const wrong = shape & 15;
    if (wrong === 1) length--;
    if (wrong === 2) length++;
    if (wrong === 3) length = 0;
    if (wrong === 4) length = 1;
    if (wrong === 5) length = input.u8();
    if (at < MAX_OPTIONS) options[at++] = length;
    for (let left = length - 2; left > 0 && at < MAX_OPTIONS; left--) options[at++] = input.u8();
  }
  if ((input.u8() & 15) === 0) {
    // As most stacks pad timestamps.
    options[0] = 1;
    options[1] = 1;
    options[2] = 8;
    options[3] = 10;
    writeI32(options, 4, input.u32() | 0);
    writeI32(options, 8, input.u32() | 0);
    return 12;
  }
  const cut = input.u8();
  // Also in the middle of an option.
  const bytes = (cut & 7) === 0 ? cut % (at + 1) : at;
  options.fill(0, bytes);
  return (bytes + 3) & ~3;
}

/** RFC 9293, 3.2; RFC 7323, 2.2 and 3.2; RFC 2018, 2 and 3, as plainly as possible. */
function readSlowly(options: Uint8Array): Read {
  const found: Read = { mss: NO_OPTION, scale: NO_OPTION, sackPermitted: false, timestamps: '', sacks: '', bad: false };
  let rest = options;
  while (rest.length > 0 && rest[0] !== 0) {
    if (rest[0] === 1) {
      rest = rest.subarray(1);
      continue;
    }
    const length = rest[1] ?? 0;
    if (length < 2 || length > rest.length) return { ...found, bad: true };
    const option = rest.subarray(0, length);
    rest = rest.subarray(length);
    if (option[0] === 2 && length === 4) found.mss = readU16(option, 2);
    else if (option[0] === 3 && length === 3) found.scale = Math.min(14, option[2]!);
    else if (option[0] === 4 && length === 2) found.sackPermitted = true;
    else if (option[0] === 8 && length === 10) found.timestamps = `${readI32(option, 2)} ${readI32(option, 6)}`;
    else if (option[0] === 5 && length > 2 && length % 8 === 2) {
      found.sacks = '';
      for (let at = 2; at < length; at += 8) found.sacks += ` ${readI32(option, at)}:${readI32(option, at + 4)}`;
    } else if ([2, 3, 4, 5, 8].includes(option[0]!)) found.bad = true;
  }
  return found;
}
