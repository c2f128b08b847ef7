/** To which flow a frame belongs. Frames are of any kind, so nothing is read beyond them, and nothing throws. */
import { describe, expect, it } from 'vitest';
import { flowEnds } from '../../../../observe/flows/flow-key.js';
import { arp, ethernet, icmpEcho, ipv4, udp } from '../../../support/link/frames.js';
import { sampleFrames, tagged } from '../../../support/observe/sample-frames.js';

const endsOf = (frame: Uint8Array, length = frame.length) => flowEnds(frame, 0, length);
const TCP = [0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0];

/** The 16 bytes of an address of eight groups. */
const groups = (address: string): number[] =>
  address.split(':').flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]);

const A = '2001:db8:1:2:3:4:5:6';
const B = 'fe80:0:0:0:5054:ff:fe00:1';

function ipv6(next: number, payload: number[], source = A, destination = B): Uint8Array {
  const header = [0x60, 0, 0, 0, 0, payload.length, next, 64, ...groups(source), ...groups(destination)];
  return ethernet([...header, ...payload], { type: 0x86dd });
}

describe('the flow of a frame', () => {
  it.each([
    [6, 'tcp'],
    [17, 'udp'],
    [132, 'sctp'],
  ])('over IPv4 has ports with protocol %i', (protocol, name) => {
    const ends = { protocol: name, source: '10.0.0.2:40000', destination: '10.0.0.1:80' };
    expect(endsOf(ethernet(ipv4(TCP, { protocol })))).toEqual(ends);
    // Behind options, too.
    expect(endsOf(ethernet(ipv4(TCP, { protocol, options: Array(40).fill(1) })))).toEqual(ends);
  });

  it('has no ports with other protocols, in later fragments, and in short packets', () => {
    const ends = { source: '10.0.0.2', destination: '10.0.0.1' };
    expect(endsOf(ethernet(ipv4(icmpEcho([1]), { protocol: 1 })))).toEqual({ protocol: 'icmp', ...ends });
    expect(endsOf(ethernet(ipv4(TCP, { protocol: 50 })))).toEqual({ protocol: 'ip-50', ...ends });
    expect(endsOf(ethernet(ipv4(TCP, { protocol: 0 })))).toEqual({ protocol: 'ip-0', ...ends });
    const fragment = (at: number) => endsOf(ethernet(ipv4(udp([1], 9, 7), { protocol: 17, fragment: at })));
    expect(fragment(0x2000)).toMatchObject({ protocol: 'udp', source: '10.0.0.2:9', destination: '10.0.0.1:7' });
    for (const at of [0x0001, 0x2001, 0x1fff, 0x3fff]) expect(fragment(at)).toEqual({ protocol: 'udp', ...ends });
    expect(endsOf(ethernet(ipv4([0, 9, 0], { protocol: 17 })))).toEqual({ protocol: 'udp', ...ends });
    expect(endsOf(ethernet(ipv4([0, 9, 0, 7], { protocol: 17 })))).toMatchObject({ source: '10.0.0.2:9' });
  });

  it('over IPv6 has its addresses in brackets before a port', () => {
    const addresses = { source: `[${A}]:40000`, destination: '[fe80::5054:ff:fe00:1]:80' };
    expect(endsOf(ipv6(6, TCP))).toEqual({ protocol: 'tcp', ...addresses });
    expect(endsOf(ipv6(17, TCP))).toEqual({ protocol: 'udp', ...addresses });
    const ends = { source: A, destination: 'fe80::5054:ff:fe00:1' };
    expect(endsOf(ipv6(58, [128, 0, 0, 0]))).toEqual({ protocol: 'icmp6', ...ends });
    expect(endsOf(ipv6(59, []))).toEqual({ protocol: 'ip-59', ...ends });
    // A fragment says what it is part of, and has no ports.
    expect(endsOf(ipv6(44, [17, 0, 0, 0, 0, 0, 0, 1, ...TCP]))).toEqual({ protocol: 'udp', ...ends });
    expect(endsOf(ipv6(44, []))).toEqual({ protocol: 'ip-44', ...ends });
  });

  it('is the same behind one VLAN tag and two', () => {
    for (const frame of [ethernet(ipv4(TCP, { protocol: 6 })), ipv6(6, TCP), arp()]) {
      expect(endsOf(tagged(frame, 5))).toEqual(endsOf(frame));
      expect(endsOf(tagged(tagged(frame, 5), 7, 0x88a8))).toEqual(endsOf(frame));
    }
    const three = tagged(tagged(tagged(ethernet(ipv4(TCP)), 1), 2), 3);
    expect(endsOf(three)).toEqual({
      protocol: '0x8100',
      source: '52:54:00:00:00:02',
      destination: '52:54:00:00:00:01',
    });
  });

  it('without IP is between MAC addresses', () => {
    const ends = { source: '52:54:00:00:00:02', destination: '52:54:00:00:00:01' };
    expect(endsOf(arp({ operation: 2 }))).toEqual({ protocol: 'arp', ...ends });
    expect(endsOf(ethernet([1, 2], { type: 0x88cc }))).toEqual({ protocol: '0x88cc', ...ends });
    expect(endsOf(ethernet([], { type: 5 }))).toEqual({ protocol: '0x0005', ...ends });
    // Headers that are not there to their end.
    expect(endsOf(ethernet([0x45, 0]))).toEqual({ protocol: '0x0800', ...ends });
    expect(endsOf(ethernet([0x60, 0], { type: 0x86dd }))).toEqual({ protocol: '0x86dd', ...ends });
    expect(endsOf(ethernet([]), 13)).toEqual({ protocol: 'short', source: '', destination: '' });
    expect(endsOf(new Uint8Array(0))).toEqual({ protocol: 'short', source: '', destination: '' });
  });

  it('does not depend on what lies around the frame, wherever it is cut', () => {
    const frames = [...new Map(sampleFrames().map((frame) => [`${frame.length} ${frame[12]} ${frame[23]}`, frame]))];
    frames.push(['options', ethernet(ipv4(TCP, { protocol: 6, options: Array(40).fill(1) }))]);
    frames.push(['long header', ethernet(ipv4(TCP, { protocol: 6, headerWords: 15 }))]);
    frames.push(['short header', ethernet(ipv4(TCP, { protocol: 6, headerWords: 0 }))]);
    for (const [, frame] of frames) {
      for (let length = 0; length <= frame.length; length++) {
        const found = [0, 0x11, 0xff].map((byte) => {
          const u8 = new Uint8Array(300).fill(byte);
          u8.set(frame.subarray(0, length), 33);
          return flowEnds(u8, 33, length);
        });
        expect(found[1]).toEqual(found[0]);
        expect(found[2]).toEqual(found[0]);
        // At the end of the memory, too.
        expect(flowEnds(frame.subarray(0, length), 0, length)).toEqual(found[0]);
      }
    }
  });
});

describe('an IPv6 address is written as RFC 5952 demands', () => {
  it.each([
    // 4.1: no leading zeros. 4.2.1: as short as possible. 4.3: lower case.
    ['2001:0db8:0000:0000:0000:0000:0002:0001', '2001:db8::2:1'],
    ['2001:db8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa', '2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa'],
    // 4.2.2: one group of zeros is not shortened.
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['0:1:2:3:4:5:6:7', '0:1:2:3:4:5:6:7'],
    ['1:2:3:4:5:6:7:0', '1:2:3:4:5:6:7:0'],
    // 4.2.3: the longest run, and the first of equal ones.
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['0:0:1:0:0:0:0:1', '0:0:1::1'],
    // The ends, and nothing else.
    ['0:0:0:0:0:0:0:0', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['fe80:0:0:0:0:0:0:0', 'fe80::'],
    ['ff02:0:0:0:0:0:0:fb', 'ff02::fb'],
    // Groups that end in a zero are none.
    ['2001:db8:10:0:1:0:0:1', '2001:db8:10:0:1::1'],
    ['10:0:1:0:0:2:3:4', '10:0:1::2:3:4'],
    ['a0:0:0:b:0:0:0:c', 'a0:0:0:b::c'],
    ['100:0:2:3:4:0:0:5', '100:0:2:3:4::5'],
  ])('%s as %s', (address, text) => {
    expect(endsOf(ipv6(59, [], address)).source).toBe(text);
  });
});
