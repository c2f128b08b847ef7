import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as address from '../../../../src/wire/address.js';
import * as arp from '../../../../src/wire/arp.js';
import { readI32, readU16, writeI32, writeU16 } from '../../../../src/wire/bytes.js';
import { finishSum, internetChecksum, partialSum, updateChecksum } from '../../../../src/wire/checksum.js';
import * as eth from '../../../../src/wire/ethernet.js';
import * as icmp from '../../../../src/wire/icmp.js';
import * as ip from '../../../../src/wire/ipv4.js';
import * as udp from '../../../../src/wire/udp.js';
import * as frames from '../../../support/link/frames.js';

function memoryOf(bytes: ArrayLike<number>, offset = 0) {
  const buffer = new SharedArrayBuffer((offset + bytes.length + 7) & ~3);
  const memory = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
  memory.u8.set(bytes, offset);
  return memory;
}

const word = fc.integer({ min: 0, max: 0xffff });
const long = fc.integer({ min: 0, max: 0xffffffff });
const mac = fc.uint8Array({ minLength: 6, maxLength: 6 });
const payload = fc.uint8Array({ maxLength: 200 });

describe('integers', () => {
  it('come back as they were stored, at any alignment, in network order', () => {
    fc.assert(
      fc.property(word, long, fc.integer({ min: 0, max: 3 }), (short, value, offset) => {
        const u8 = new Uint8Array(16);
        writeU16(u8, offset, short);
        writeI32(u8, offset + 2, value);
        expect(readU16(u8, offset)).toBe(short);
        expect(readI32(u8, offset + 2)).toBe(value | 0);
        expect(u8[offset + 2]).toBe(value >>> 24);
      }),
    );
  });
});

describe('addresses', () => {
  it('formats what it parses', () => {
    fc.assert(
      fc.property(fc.ipV4(), mac, (text, bytes) => {
        expect(address.formatIpv4(address.parseIpv4(text))).toBe(text);
        expect(address.formatIpv4(address.parseIpv4(text) | 0)).toBe(text);
        expect(address.parseMac(address.formatMac(bytes))).toEqual(bytes);
      }),
    );
  });

  it('parses an address with its prefix', () => {
    expect(address.parseIpv4Interface('192.168.7.9/20')).toEqual({ address: 0xc0a80709, prefixLength: 20 });
  });

  it.each(['10.0.0', '10.0.0.256', '10.0.0.1 ', '010.0.0.1', 'x', ''])("refuses '%s' and names it", (text) => {
    expect(() => address.parseIpv4(text)).toThrow(`'${text}' is not an IPv4 address`);
  });

  it.each(['10.0.0.1', '10.0.0.1/', '10.0.0.1/33', '10.0.0.1/-1', '10.0.0.1/2x'])(
    "refuses '%s' with an invalid prefix",
    (text) => {
      expect(() => address.parseIpv4Interface(text)).toThrow(`'${text}' has no prefix length`);
    },
  );

  it.each(['52:54:00:12:34', '52:54:00:12:34:5g', '52-54:00:12:34:56', '525400123456', ''])(
    "refuses '%s' as a MAC address",
    (text) => {
      expect(() => address.parseMac(text)).toThrow(`'${text}' is not a MAC address`);
    },
  );

  it.each(['ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:01', '00:00:00:00:00:00'])('knows that %s is no station', (text) => {
    expect(() => address.parseStationMac(text)).toThrow(text);
  });

  it('knows masks and groups', () => {
    expect([0, 8, 24, 31, 32].map((length) => address.prefixMask(length) >>> 0)).toEqual([
      0, 0xff000000, 0xffffff00, 0xfffffffe, 0xffffffff,
    ]);
    const isGroup = (text: string) => address.isIpv4Multicast(address.parseIpv4(text));
    expect(['223.255.255.255', '224.0.0.0', '239.255.255.255', '240.0.0.0'].map(isGroup)).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });
});

describe('checksum', () => {
  it("is RFC 1071's example", () => {
    const memory = memoryOf([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
    expect(internetChecksum(memory, 0, 8)).toBe(~0xddf2 & 0xffff);
  });

  it('is what a naive one computes, at any alignment and length, in one or two pieces', () => {
    fc.assert(
      fc.property(payload, fc.integer({ min: 0, max: 3 }), fc.nat(), (bytes, offset, cut) => {
        const memory = memoryOf(bytes, offset);
        expect(internetChecksum(memory, offset, bytes.length)).toBe(frames.naiveChecksum(bytes));
        const first = (cut % (bytes.length + 1)) & ~1;
        const sum = partialSum(memory, offset, first);
        expect(finishSum(partialSum(memory, offset + first, bytes.length - first, sum))).toBe(
          frames.naiveChecksum(bytes),
        );
      }),
    );
  });

  it('does not overflow on the longest packet', () => {
    const bytes = new Uint8Array(65535).fill(0xff);
    expect(internetChecksum(memoryOf(bytes), 0, 65535, 0xffff)).toBe(frames.naiveChecksum([0xff, 0xff, ...bytes]));
    expect(internetChecksum(memoryOf(bytes, 1), 1, 65535)).toBe(frames.naiveChecksum(bytes));
  });

  it('stays right when a word changes and it is updated (RFC 1624)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), word, (bytes, after) => {
        // A header's sum cannot consist of zeros only.
        bytes[0] = 0x45;
        bytes.fill(0, 10, 12);
        writeU16(bytes, 10, frames.naiveChecksum(bytes));
        const before = readU16(bytes, 8);
        writeU16(bytes, 8, after);
        updateChecksum(bytes, 10, before, after);
        expect(frames.naiveChecksum(bytes)).toBe(0);
      }),
    );
  });
});

describe('ethernet', () => {
  it('writes a header, reads it, and swaps its addresses', () => {
    fc.assert(
      fc.property(mac, mac, (to, from) => {
        const memory = memoryOf(new Uint8Array(14), 2);
        eth.copyMac(memory.u16, 1, eth.macWords(to), 0);
        eth.writeEthSourceAndType(memory.u16, 2, eth.macWords(from), eth.ETHERTYPE_ARP_WORD);
        expect([...memory.u8.subarray(2, 16)]).toEqual([...to, ...from, 8, 6]);
        expect(eth.ethType(memory.u8, 2)).toBe(eth.ETHERTYPE_ARP);
        eth.swapEthMacs(memory.u16, 2);
        expect([...memory.u8.subarray(2, 16)]).toEqual([...from, ...to, 8, 6]);
        expect(eth.sameMac(memory.u16, 1, eth.macWords(from), 0)).toBe(true);
      }),
    );
  });
});

describe('arp', () => {
  it('writes what it reads', () => {
    fc.assert(
      fc.property(fc.constantFrom(1, 2), mac, long, mac, long, (operation, senderMac, sender, targetMac, target) => {
        const memory = memoryOf(new Uint8Array(28));
        arp.writeArp(memory, 0, operation, eth.macWords(senderMac), sender, eth.macWords(targetMac), target);
        expect(arp.isArp(memory.u8, 0, 28)).toBe(true);
        expect(arp.arpOperation(memory.u8, 0)).toBe(operation);
        expect(arp.arpSenderIp(memory.u8, 0)).toBe(sender | 0);
        expect(arp.arpTargetIp(memory.u8, 0)).toBe(target | 0);
        expect(memory.u8.slice(8, 14)).toEqual(senderMac);
        expect(memory.u8.slice(18, 24)).toEqual(targetMac);
      }),
    );
  });

  it.each([
    ['hardware type', 1, 6],
    ['protocol type', 2, 0x86],
    ['hardware length', 4, 8],
    ['protocol length', 5, 16],
    ['operation', 7, 3],
  ])('refuses another %s', (_, place, value) => {
    const packet = frames.arp().slice(14);
    expect(arp.isArp(packet, 0, 28)).toBe(true);
    packet[place] = value;
    expect(arp.isArp(packet, 0, 28)).toBe(false);
  });

  it('refuses a short one', () => {
    expect(arp.isArp(frames.arp(), 14, 27)).toBe(false);
  });
});

describe('ipv4', () => {
  it('writes a header that reads the same and has a right checksum', () => {
    fc.assert(
      fc.property(fc.integer({ min: 20, max: 65535 }), fc.nat(255), long, long, (length, protocol, from, to) => {
        const memory = memoryOf(new Uint8Array(20));
        ip.writeIpv4Header(memory, 0, length, protocol, from, to);
        const { u8 } = memory;
        expect(ip.ipv4Version(u8, 0)).toBe(4);
        expect(ip.ipv4HeaderLength(u8, 0)).toBe(20);
        expect(ip.ipv4TotalLength(u8, 0)).toBe(length);
        expect(ip.ipv4Protocol(u8, 0)).toBe(protocol);
        expect(ip.ipv4Source(u8, 0)).toBe(from | 0);
        expect(ip.ipv4Destination(u8, 0)).toBe(to | 0);
        expect(ip.isIpv4Fragment(u8, 0)).toBe(false);
        expect(ip.isIpv4HeaderIntact(memory, 0, 20)).toBe(true);
        ip.swapIpv4Addresses(u8, 0);
        ip.setIpv4Ttl(u8, 0, 3);
        expect(ip.ipv4Source(u8, 0)).toBe(to | 0);
        expect(frames.naiveChecksum(u8.subarray(0, 20))).toBe(0);
      }),
    );
  });

  it.each([
    [0x2000, true],
    [0x00b9, true],
    [0x4000, false],
    [0x8000, false],
  ])('flags and offset %x: fragment %s', (fragment, expected) => {
    expect(ip.isIpv4Fragment(Uint8Array.from(frames.ipv4([], { fragment })), 0)).toBe(expected);
  });
});

describe('icmp', () => {
  it('writes the request of the reference, and turns it into the reference reply', () => {
    fc.assert(
      fc.property(payload, word, word, (bytes, identifier, sequence) => {
        const memory = memoryOf([...new Array(8).fill(0xee), ...bytes]);
        const length = 8 + bytes.length;
        icmp.writeIcmpEchoRequest(memory, 0, length, identifier, sequence);
        expect([...memory.u8.subarray(0, length)]).toEqual(frames.icmpEcho([...bytes], 8, identifier, sequence));
        expect(icmp.icmpIdentifier(memory.u8, 0)).toBe(identifier);
        expect(icmp.icmpSequence(memory.u8, 0)).toBe(sequence);
        icmp.makeIcmpEchoReply(memory.u8, 0);
        expect(memory.u8[0]).toBe(0);
        expect(icmp.isIcmpIntact(memory, 0, length)).toBe(true);
      }),
    );
  });

  it('makes the reply to a request of zeros', () => {
    const memory = memoryOf(frames.icmpEcho([0, 0, 0], 8, 0, 0));
    icmp.makeIcmpEchoReply(memory.u8, 0);
    expect([...memory.u8.subarray(0, 11)]).toEqual(frames.icmpEcho([0, 0, 0], 0, 0, 0));
    expect(icmp.isIcmpIntact(memory, 0, 11)).toBe(true);
  });
});

describe('udp', () => {
  const datagram = (bytes: Uint8Array) => {
    const packet = frames.ipv4([...frames.udp([...bytes], 1234, 7)], { protocol: 17 });
    return { memory: memoryOf(packet), room: packet.length - 20 };
  };

  it('writes the datagram that the reference makes, and accepts it', () => {
    fc.assert(
      fc.property(payload, (bytes) => {
        const { memory, room } = datagram(bytes);
        const expected = [...memory.u8];
        memory.u8.fill(0xee, 20, 28);
        udp.writeUdpHeader(memory, 0, 20, room, 1234, 7);
        expect([...memory.u8]).toEqual(expected);
        expect(udp.isUdpIntact(memory, 0, 20, room)).toBe(true);
        udp.swapUdpPorts(memory.u8, 20);
        expect(udp.udpSourcePort(memory.u8, 20)).toBe(7);
        expect(udp.udpDestinationPort(memory.u8, 20)).toBe(1234);
        expect(udp.isUdpIntact(memory, 0, 20, room)).toBe(true);
      }),
    );
  });

  it('notices every damaged bit', () => {
    const { memory, room } = datagram(Uint8Array.of(1, 2, 3, 4, 5));
    for (let bit = 0; bit < room * 8; bit++) {
      memory.u8[20 + (bit >>> 3)]! ^= 1 << (bit & 7);
      expect(udp.isUdpIntact(memory, 0, 20, room)).toBe(false);
      memory.u8[20 + (bit >>> 3)]! ^= 1 << (bit & 7);
    }
  });

  it('accepts a datagram without checksum, and refuses lengths that cannot be', () => {
    const { memory, room } = datagram(Uint8Array.of(1, 2, 3, 4));
    writeU16(memory.u8, 26, 0);
    expect(udp.isUdpIntact(memory, 0, 20, room)).toBe(true);
    expect(udp.isUdpIntact(memory, 0, 20, 7)).toBe(false);
    for (const length of [0, 7, room + 1, 0xffff]) {
      writeU16(memory.u8, 24, length);
      expect(udp.isUdpIntact(memory, 0, 20, room)).toBe(false);
    }
  });

  it('never writes a checksum of 0, which would mean that there is none', () => {
    fc.assert(
      fc.property(word, (value) => {
        const memory = memoryOf(frames.ipv4(new Array(10).fill(0), { protocol: 17 }));
        writeU16(memory.u8, 28, value);
        udp.writeUdpHeader(memory, 0, 20, 10, 1, 2);
        expect(readU16(memory.u8, 26)).not.toBe(0);
        expect(udp.isUdpIntact(memory, 0, 20, 10)).toBe(true);
      }),
    );
    // The one payload whose sum is all ones.
    const memory = memoryOf(frames.ipv4(new Array(10).fill(0), { protocol: 17 }));
    udp.writeUdpHeader(memory, 0, 20, 10, 1, 2);
    writeU16(memory.u8, 28, readU16(memory.u8, 26));
    udp.writeUdpHeader(memory, 0, 20, 10, 1, 2);
    expect(readU16(memory.u8, 26)).toBe(0xffff);
  });
});
