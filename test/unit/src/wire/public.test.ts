/**
 * The parts of `tspmd/wire` that stacks use and the layer itself does not, checked against frames that are written byte
 * by byte.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as wire from '../../../../src/wire/index.js';
import * as frames from '../../../support/link/frames.js';

const word = fc.integer({ min: 0, max: 0xffff });
const long = fc.integer({ min: 0, max: 0xffffffff });
const payload = fc.uint8Array({ maxLength: 100 });
const bytesOf = (value: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => (value >>> (8 * (count - 1 - i))) & 0xff);

/** Views with room behind the bytes. */
function memoryOf(bytes: ArrayLike<number>, offset = 0): wire.WireMemory {
  const room = new Uint8Array(offset + bytes.length + 128);
  room.set(bytes, offset);
  return wire.wireMemory(room);
}

describe('the memory of headers', () => {
  it('is the very bytes that it was made of', () => {
    const bytes = new Uint8Array(6);
    const memory = wire.wireMemory(bytes.subarray(2));
    memory.u16[1] = 0xffff;
    expect([...bytes]).toEqual([0, 0, 0, 0, 0xff, 0xff]);
    expect(memory.u8.length).toBe(4);
  });

  it('may have an odd length, and sums its last byte', () => {
    expect(wire.internetChecksum(wire.wireMemory(Uint8Array.of(1, 2, 3)), 0, 3)).toBe(~0x0402 & 0xffff);
  });

  it('refuses to begin at an odd offset, and says what to do', () => {
    expect(() => wire.wireMemory(new Uint8Array(9).subarray(1))).toThrow(/odd offset 1 .* use bytes\.slice\(\)/);
  });
});

describe('an Ethernet header', () => {
  it('is written as a whole, and reversed', () => {
    const memory = memoryOf([]);
    const [ours, peers] = [frames.OUR_MAC, frames.PEER_MAC].map((mac) => wire.macWords(Uint8Array.from(mac)));
    wire.writeEthHeader(memory.u16, 2, ours!, peers!, wire.ETHERTYPE_IPV4_WORD);
    expect(memory.u8.slice(2, 16)).toEqual(frames.ethernet([]));
    wire.swapEthMacs(memory.u16, 2);
    const turned = frames.ethernet([], { source: frames.OUR_MAC, destination: frames.PEER_MAC });
    expect(memory.u8.slice(2, 16)).toEqual(turned);
  });

  it('can have any EtherType', () => {
    const memory = memoryOf([]);
    wire.writeEthHeader(memory.u16, 0, wire.BROADCAST_MAC, wire.NO_MAC, wire.ethTypeWord(0x88b5));
    expect(wire.ethType(memory.u8, 0)).toBe(0x88b5);
  });
});

describe('an IPv4 header', () => {
  // The header that many texts on the checksum use.
  const known = [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 192, 168, 0, 1, 192, 168, 0, 199];

  it('is written as other programs write it', () => {
    const memory = memoryOf([]);
    const [from, to] = ['192.168.0.1', '192.168.0.199'].map(wire.parseIpv4);
    wire.writeIpv4Header(memory, 0, 0x73, wire.IP_PROTOCOL_UDP, from!, to!);
    expect([...memory.u8.subarray(0, 20)]).toEqual(known);
  });

  it('has readers for the fields that reassembly needs', () => {
    fc.assert(
      fc.property(word, fc.integer({ min: 1, max: 255 }), (fragment, ttl) => {
        const u8 = Uint8Array.from(frames.ipv4([1, 2, 3], { fragment, ttl }));
        expect(wire.ipv4Ttl(u8, 0)).toBe(ttl);
        expect(wire.ipv4Identification(u8, 0)).toBe(0xabcd);
        expect(wire.ipv4FragmentOffset(u8, 0)).toBe((fragment % 8192) * 8);
        expect(wire.hasMoreIpv4Fragments(u8, 0)).toBe(Math.floor(fragment / 8192) % 2 === 1);
      }),
    );
  });

  it('is intact with options and with bytes behind it, and only if each bit is right', () => {
    for (const options of [[], [1, 1, 1, 0]]) {
      const packet = frames.ipv4([1, 2, 3], { options });
      const memory = memoryOf(packet, 2);
      expect(wire.isIpv4Intact(memory, 2, packet.length)).toBe(true);
      expect(wire.isIpv4Intact(memory, 2, packet.length + 20)).toBe(true);
      for (let room = 0; room < packet.length; room++) expect(wire.isIpv4Intact(memory, 2, room)).toBe(false);
      for (let bit = 0; bit < (20 + options.length) * 8; bit++) {
        memory.u8[2 + (bit >>> 3)]! ^= 1 << (bit & 7);
        expect(wire.isIpv4Intact(memory, 2, packet.length)).toBe(false);
        memory.u8[2 + (bit >>> 3)]! ^= 1 << (bit & 7);
      }
    }
  });

  it.each([
    ['version 6', { version: 6 }],
    ['a header of 16 bytes', { headerWords: 4 }],
    ['no header at all', { headerWords: 0 }],
    ['a header longer than the packet', { headerWords: 15 }],
    ['a total length below the header', { totalLength: 19 }],
    ['a total length beyond what came', { totalLength: 40 }],
  ])('is not intact with %s, whatever its checksum', (_, fields) => {
    const packet = frames.ipv4([1, 2, 3, 4], fields);
    const memory = memoryOf(packet);
    wire.writeIpv4Checksum(memory, 0);
    expect(wire.isIpv4Intact(memory, 0, packet.length)).toBe(false);
  });

  it('gets a new checksum after a change, with options, too', () => {
    fc.assert(
      fc.property(word, fc.constantFrom<number[]>([], [7, 3, 4, 0], [1, 1, 1, 1, 1, 1, 1, 0]), (value, options) => {
        const memory = memoryOf(frames.ipv4([9, 9], { options }));
        wire.writeU16(memory.u8, wire.IPV4_IDENTIFICATION, value);
        wire.writeIpv4Checksum(memory, 0);
        expect(frames.naiveChecksum(memory.u8.subarray(0, 20 + options.length))).toBe(0);
        expect(memory.u8[20 + options.length]).toBe(9);
      }),
    );
  });
});

describe('an ICMP message', () => {
  it('of an error quotes the header and eight bytes, or fewer if there are fewer', () => {
    fc.assert(
      fc.property(payload, fc.constantFrom<number[]>([], [1, 1, 1, 0]), word, (bytes, options, mtu) => {
        const packet = frames.ipv4([...bytes], { options });
        const memory = memoryOf(packet);
        const at = (packet.length + 1) & ~1;
        const { ICMP_DESTINATION_UNREACHABLE: type, ICMP_FRAGMENTATION_NEEDED: code } = wire;
        const length = wire.writeIcmpError(memory, at, type, code, mtu, 0);
        const quoted = packet.slice(0, 20 + options.length + 8);
        const expected = [3, 4, 0, 0, 0, 0, ...bytesOf(mtu, 2), ...quoted];
        const sum = frames.naiveChecksum(expected);
        expected.splice(2, 2, ...bytesOf(sum, 2));
        expect([...memory.u8.subarray(at, at + length)]).toEqual(expected);
        expect(wire.isIcmpIntact(memory, at, length)).toBe(true);
        expect([wire.icmpType(memory.u8, at), wire.icmpCode(memory.u8, at)]).toEqual([3, 4]);
        expect(wire.icmpNextHopMtu(memory.u8, at)).toBe(mtu);
      }),
    );
  });

  it('is not intact if its header is cut off, even where the sum is right', () => {
    const memory = memoryOf([0xff, 0xff, 0, 0]);
    expect(wire.internetChecksum(memory, 0, 4)).toBe(0);
    expect(wire.isIcmpIntact(memory, 0, 4)).toBe(false);
  });
});

describe('a UDP datagram', () => {
  it('gets a new checksum after its payload was changed', () => {
    const memory = memoryOf(frames.ipv4(frames.udp([1, 2, 3], 5, 6), { protocol: 17 }));
    memory.u8[30] = 77;
    expect(wire.isUdpIntact(memory, 0, 20, 11)).toBe(false);
    wire.writeUdpChecksum(memory, 0, 20, 11);
    expect([...memory.u8.subarray(20, 31)]).toEqual(frames.udp([1, 2, 77], 5, 6));
  });
});

describe('a TCP segment', () => {
  /** RFC 9293, 3.1, byte by byte. */
  function segment(fields: number[], options: number[], data: number[]): number[] {
    const [from, to, sequence, acknowledgement, flags, window] = fields as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const ports = [...bytesOf(from, 2), ...bytesOf(to, 2)];
    const numbers = [...bytesOf(sequence, 4), ...bytesOf(acknowledgement, 4)];
    const rest = [(5 + options.length / 4) * 16, flags, ...bytesOf(window, 2), 0, 0, 0, 0];
    const bytes = [...ports, ...numbers, ...rest, ...options, ...data];
    const pseudo = [10, 0, 0, 2, 10, 0, 0, 1, 0, 6, ...bytesOf(bytes.length, 2)];
    bytes.splice(16, 2, ...bytesOf(frames.naiveChecksum([...pseudo, ...bytes]), 2));
    return bytes;
  }
  const fields = fc.tuple(word, word, long, long, fc.integer({ min: 0, max: 255 }), word);
  const options = fc.constantFrom<number[]>([], [2, 4, 5, 0xb4], [1, 3, 3, 7, 4, 2, 1, 0]);

  it('is written as the RFC draws it, and read back', () => {
    fc.assert(
      fc.property(fields, options, payload, (values, extra, data) => {
        const headerLength = 20 + extra.length;
        const length = headerLength + data.length;
        const memory = memoryOf(frames.ipv4([...new Array(20).fill(0xee), ...extra, ...data], { protocol: 6 }));
        const { u8 } = memory;
        wire.writeTcpHeader(memory, 0, 20, length, headerLength, ...values);
        expect([...u8.subarray(20, 20 + length)]).toEqual(segment(values, extra, [...data]));
        expect(wire.isTcpIntact(memory, 0, 20, length)).toBe(true);
        expect(wire.tcpHeaderLength(u8, 20)).toBe(headerLength);
        const read = [wire.tcpSourcePort, wire.tcpDestinationPort, wire.tcpSequence, wire.tcpAcknowledgement];
        const signed = [values[0], values[1], values[2] | 0, values[3] | 0];
        expect(read.map((field) => field(u8, 20))).toEqual(signed);
        expect([wire.tcpFlags(u8, 20), wire.tcpWindow(u8, 20)]).toEqual(values.slice(4));
      }),
    );
  });

  it('is intact only with each bit right, and with possible lengths', () => {
    const bytes = segment([1, 2, 3, 4, wire.TCP_SYN | wire.TCP_ACK, 5], [2, 4, 5, 0xb4], [1, 2, 3]);
    const memory = memoryOf(frames.ipv4(bytes, { protocol: 6 }));
    expect(wire.isTcpIntact(memory, 0, 20, bytes.length)).toBe(true);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      memory.u8[20 + (bit >>> 3)]! ^= 1 << (bit & 7);
      expect(wire.isTcpIntact(memory, 0, 20, bytes.length)).toBe(false);
      memory.u8[20 + (bit >>> 3)]! ^= 1 << (bit & 7);
    }
    for (const words of [0, 4, 7, 15]) {
      memory.u8[20 + wire.TCP_DATA_OFFSET] = words << 4;
      wire.writeTcpChecksum(memory, 0, 20, bytes.length);
      expect(wire.isTcpIntact(memory, 0, 20, bytes.length)).toBe(false);
    }
    expect(wire.isTcpIntact(memory, 0, 20, 19)).toBe(false);
  });
});

describe('docs/wire.md', () => {
  const text = readFileSync(new URL('../../../../docs/wire.md', import.meta.url), 'utf8');

  it('names every function of tspmd/wire, and no other', () => {
    const functions = Object.entries(wire).flatMap(([name, value]) => (typeof value === 'function' ? [name] : []));
    const listed = [...text.matchAll(/`([a-z][A-Za-z0-9]*)\(/g)].map(([, name]) => name!);
    expect(functions.filter((name) => !listed.includes(name))).toEqual([]);
    expect(listed.filter((name) => !functions.includes(name))).toEqual([]);
  });

  it('names constants that exist', () => {
    const constants = [...text.matchAll(/`([A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9])`/g)].map(([, name]) => name!);
    expect(constants.length).toBeGreaterThan(20);
    expect(constants.filter((name) => !(name in wire))).toEqual([]);
  });
});
