import { describe, expect, it } from 'vitest';
import { isIpv4Intact } from '../../../../../../src/wire/ipv4.js';
import { wireMemory } from '../../../../../../src/wire/memory.js';
import {
  isTcpIntact,
  TCP_ACK,
  TCP_PSH,
  TCP_SYN,
  tcpFlags,
  tcpSequence,
  tcpWindow,
} from '../../../../../../src/wire/tcp.js';
import { patternByte } from '../../../../../support/tcpip/pattern.js';
import { decodeSegment, encodeSegment } from '../../../../../support/tcpip/script/segment-bytes.js';
import { differences } from '../../../../../support/tcpip/script/segment-match.js';
import { formatSegment, parseSegment } from '../../../../../support/tcpip/script/segment-text.js';

const TEXTS = [
  'S 1000:1000(0) win 65535 <mss 1460, sackOK, TS val 1 ecr 0, wscale 7>',
  'S. 0:0(0) ack 1 <mss any, sackOK, TS val any ecr 1, wscale any>',
  'P. 1:1001(1000) ack 1 win 512',
  'F. 1001:1001(0) ack any',
  'R 5:5(0)',
  '.UEW 1:2(1) ack 1 win 0 urg 3',
  '[ce] . 1:1(0) ack 1 <nop, nop, sack 1001:2001 -5:4001>',
  '. any:any(100) ack 1 <TS val any ecr last, ...>',
  '. 1:1(0) ack 1 doff 4 badsum <>',
  '0 -1:0(1) <raw 1e04ff00>',
];

const BASES = { seq: -2, ack: 0x7fffffff, val: 500, ecr: 9000, lastVal: 9100 };
const ADDRESSES = { source: 0x0a000002, destination: 0x0a000001, sourcePort: 40000, destinationPort: 80 };

describe('segments as text', () => {
  it.each(TEXTS)('%s is written as it was read', (text) => {
    expect(formatSegment(parseSegment(text))).toBe(text);
  });

  it('have flags in any order', () => {
    expect(parseSegment('.P 1:1(0)').flags).toBe(TCP_ACK | TCP_PSH);
    expect(parseSegment('S 0:0(0)').flags).toBe(TCP_SYN);
  });

  it.each([
    ['S 1:1', "segment 'S 1:1': want [ecn] FLAGS"],
    ['X 1:1(0)', 'want [ecn] FLAGS'],
    ['. 1:3(1)', '1 and 1 bytes end at 2, not at 3'],
    ['. 1:1(0) ack', 'ack needs a number'],
    ['. 1:1(0) window 4', "'window' is none of"],
    ['. 1:1(0) ack 1 <mss>', "option 'mss'"],
    ['. 1:1(0) ack 1 <fast 1>', "option 'fast 1' is unknown"],
    ['. 1:1(0) ack 1 <sack 1-2>', 'want sack START:END'],
    ['. 1:1(0) ack 1 <raw xy>', 'in hexadecimal'],
    ['[xx] . 1:1(0)', '[xx] is none of noecn'],
  ])('%s is refused', (text, message) => {
    expect(() => parseSegment(text)).toThrow(message);
  });
});

describe('segments as bytes', () => {
  it('are intact, with absolute numbers and the pattern as data', () => {
    const packet = encodeSegment(parseSegment('P. 1:11(10) ack 1 win 77 <mss 9>'), BASES, ADDRESSES);
    const memory = wireMemory(packet);
    expect(isIpv4Intact(memory, 0, packet.length)).toBe(true);
    expect(isTcpIntact(memory, 0, 20, packet.length - 20)).toBe(true);
    expect([tcpSequence(packet, 20), tcpFlags(packet, 20), tcpWindow(packet, 20)]).toEqual([-1, TCP_PSH | TCP_ACK, 77]);
    expect([...packet.subarray(44)]).toEqual(Array.from({ length: 10 }, (_, i) => patternByte(i)));
  });

  it.each(TEXTS.filter((text) => !/any|last|badsum|doff/.test(text)))('%s comes back', (text) => {
    const packet = encodeSegment(parseSegment(text), BASES, ADDRESSES);
    const { segment, wrongByte } = decodeSegment(packet, BASES);
    expect(differences(segment, parseSegment(text))).toEqual([]);
    expect(wrongByte).toBeUndefined();
  });

  it('can have a wrong checksum and a wrong header length', () => {
    const isIntact = (text: string): boolean => {
      const packet = encodeSegment(parseSegment(text), BASES, ADDRESSES);
      return isTcpIntact(wireMemory(packet), 0, 20, packet.length - 20);
    };
    expect([isIntact('. 1:1(0)'), isIntact('. 1:1(0) badsum'), isIntact('. 1:1(0) doff 4')]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('tell where the data are not the pattern', () => {
    const packet = encodeSegment(parseSegment('. 5:15(10) ack 1'), BASES, ADDRESSES);
    packet[46]! ^= 1;
    expect(decodeSegment(packet, BASES).wrongByte).toBe(6);
  });

  it('need numbers for what goes on the wire', () => {
    expect(() => encodeSegment(parseSegment('. any:any(0) ack 1'), BASES, ADDRESSES)).toThrow("found 'any'");
  });

  it('show malformed options as raw bytes', () => {
    const packet = encodeSegment(parseSegment('. 1:1(0) ack 1 <nop, raw 02ff0102030405>'), BASES, ADDRESSES);
    expect(formatSegment(decodeSegment(packet, BASES).segment)).toContain('<nop, raw 02ff0102030405>');
  });
});

describe('comparing segments', () => {
  const found = parseSegment('[noecn] P. 1:11(10) ack 5 win 100 <nop, nop, TS val 7 ecr 8>');

  it.each([
    'P. 1:11(10)',
    'P. any:any(any) ack any win any',
    'P. 1:11(10) ack 5 <TS val any ecr 8>',
    'P. 1:11(10) ack 5 <nop, nop, TS val 7 ecr any>',
    '[noecn] P. 1:11(10) ack 5 <nop, ...>',
  ])('%s is the segment', (text) => {
    expect(differences(found, parseSegment(text))).toEqual([]);
  });

  it.each([
    ['. 1:11(10)', 'flags is P., expected .'],
    ['P. 2:12(10)', 'seq is 1, expected 2'],
    ['P. 1:12(11)', 'length is 10, expected 11'],
    ['P. 1:11(10) ack 6 win 1', 'ack is 5, expected 6'],
    ['P. 1:11(10) urg 1', 'urg is absent, expected 1'],
    ['[ce] P. 1:11(10)', 'ecn is noecn, expected ce'],
    ['P. 1:11(10) <>', 'options is <nop, nop, TS val 7 ecr 8>, expected <>'],
    ['P. 1:11(10) <TS val 7 ecr 9>', 'expected <TS val 7 ecr 9>'],
    ['P. 1:11(10) <nop, TS val 7 ecr 8>', 'expected <nop, TS val 7 ecr 8>'],
  ])('%s is not', (text, difference) => {
    expect(differences(found, parseSegment(text))[0]).toContain(difference);
  });
});
