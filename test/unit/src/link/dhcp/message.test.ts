/** DHCP messages: what we write, and that nothing is read beyond what a server has sent. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DhcpType, decodeMessage, encodeMessage, isAnswer } from '../../../../../src/link/dhcp/message.js';
import { addressFault, termsOf } from '../../../../../src/link/dhcp/terms.js';
import { parseIpv4 } from '../../../../../src/wire/address.js';
import { ACK, answer, option, readClient } from '../../../../support/link/dhcp-server.js';
import { OUR_MAC } from '../../../../support/link/frames.js';

const XID = 0x8899aabb;
const xid = [0x88, 0x99, 0xaa, 0xbb];
const mac = Uint8Array.from(OUR_MAC);

const decode = (bytes: Uint8Array) => decodeMessage(bytes, 0, bytes.length);
const ack = (more: Record<number, number[]> = {}, fields: object = {}) =>
  decode(answer({ type: ACK, xid, more, ...fields }));

describe('a message of ours', () => {
  it('has what RFC 2131 wants in a DISCOVER, and is as long as BOOTP relays want', () => {
    const bytes = encodeMessage({ type: DhcpType.DISCOVER, xid: XID, secs: 7.9, mac, hostName: 'web-1' });
    expect(bytes).toHaveLength(300);
    expect([...bytes.slice(0, 12)]).toEqual([1, 1, 6, 0, ...xid, 0, 7, 0, 0]);
    expect([...bytes.slice(28, 44)]).toEqual([...OUR_MAC, ...new Array(10).fill(0)]);
    const { options } = readClient(bytes);
    expect(Object.fromEntries(options)).toEqual({
      53: [1],
      61: [1, ...OUR_MAC],
      12: [...Buffer.from('web-1')],
      55: [1, 3, 6, 15, 26, 28, 51, 54, 58, 59],
    });
  });

  it('names address and server in a REQUEST, and asks for nothing in a RELEASE', () => {
    const [requested, server] = [parseIpv4('10.0.0.57'), parseIpv4('192.168.255.9')];
    const request = readClient(encodeMessage({ type: DhcpType.REQUEST, xid: XID, secs: 0, mac, requested, server }));
    expect([request.options.get(50), request.options.get(54)]).toEqual([
      [10, 0, 0, 57],
      [192, 168, 255, 9],
    ]);
    const head = { type: DhcpType.RELEASE, xid: XID, secs: 1e9, mac, hostName: 'web' };
    const release = readClient(encodeMessage({ ...head, clientAddress: requested, server }));
    expect([release.ciaddr, release.secs, [...release.options.keys()]]).toEqual(['10.0.0.57', 0xffff, [53, 61, 54]]);
  });

  it.each(['', 'a b', '-x', 'x'.repeat(64), 'é', 'a\n'])('leaves a name out that is no host name: %j', (hostName) => {
    const bytes = encodeMessage({ type: DhcpType.DISCOVER, xid: XID, secs: 0, mac, hostName });
    expect(readClient(bytes).options.has(12)).toBe(false);
  });
});

describe('an answer', () => {
  it('is for us by operation, transaction, hardware address and cookie', () => {
    const bytes = answer({ type: ACK, xid });
    const isOurs = (change: (copy: Uint8Array) => void): boolean => {
      const copy = bytes.slice();
      change(copy);
      return isAnswer(copy, 0, copy.length, XID, mac);
    };
    expect(isOurs(() => {})).toBe(true);
    for (const place of [0, 1, 2, 4, 7, 28, 33, 236, 239]) expect(isOurs((copy) => copy[place]!++)).toBe(false);
    expect(isAnswer(bytes, 0, 239, XID, mac)).toBe(false);
  });

  it('gives all that was asked for', () => {
    const more = {
      ...{ 3: [10, 0, 0, 254, 10, 0, 0, 253], 6: [8, 8, 8, 8, 10, 0, 0, 9], 15: [...Buffer.from('lab.example')] },
      ...{ 26: [5, 120], 58: [0, 0, 1, 0], 59: [0, 0, 2, 0], 56: [...Buffer.from('hi\u0007 you')] },
    };
    expect(ack(more)).toEqual({
      ...{ type: ACK, address: parseIpv4('10.0.0.57') | 0, server: parseIpv4('10.0.0.9') | 0, prefixLength: 24 },
      ...{ routers: [0x0a0000fe, 0x0a0000fd], dns: [0x08080808, 0x0a000009], domain: 'lab.example', mtu: 1400 },
      ...{ lease: 3600, t1: 256, t2: 512, text: 'hi you' },
    });
  });

  it('may have options in file and server name, and parts of options (RFC 3396)', () => {
    const sname = [...option(15, [...Buffer.from('ample')]), 255];
    const file = [0, ...option(3, [10, 0, 0, 254]), ...option(15, [...Buffer.from('ex')]), 255];
    expect(ack({ 52: [3] }, { sname, file })).toMatchObject({ routers: [0x0a0000fe], domain: 'example' });
    expect(ack({ 52: [1] }, { sname, file })).toMatchObject({ domain: 'ex' });
    expect(ack({}, { sname, file })).toMatchObject({ routers: [], domain: '' });
    // What does not end within its field is refused, also there.
    expect(ack({ 52: [2] }, { sname: [15, 63, 1] })).toBeNull();
  });

  it('is valid for ever with the longest time', () => {
    expect(ack({}, { lease: 0xffffffff })!.lease).toBe(Number.POSITIVE_INFINITY);
  });

  it.each([
    ['no type', [255]],
    ['an option without its length', [53]],
    ['an option beyond the end', [53, 2, 5]],
    ['a type of two bytes', [53, 2, 5, 5, 255]],
    ['a mask of three bytes', [53, 1, 5, 1, 3, 255, 255, 255, 255]],
    ['a mask with a gap', [53, 1, 5, 1, 4, 255, 0, 255, 0, 255]],
    ['a router of five bytes', [53, 1, 5, 3, 5, 10, 0, 0, 1, 2, 255]],
    ['no router in a router option', [53, 1, 5, 3, 0, 255]],
    ['a lease of two bytes', [53, 1, 5, 51, 2, 14, 16, 255]],
    ['an MTU of one byte', [53, 1, 5, 26, 1, 200, 255]],
  ])('is refused with %s', (_, options) => {
    expect(decode(answer({ type: ACK, xid, options }))).toBeNull();
  });

  it('never throws, and does not depend on what lies behind it', () => {
    const bytes = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(bytes, bytes, fc.nat(3), (options, behind, overload) => {
        const message = answer({ type: ACK, xid, options: [...option(52, [overload]), ...options] });
        const padded = Uint8Array.from([1, 2, 3, ...message, ...behind]);
        expect(decodeMessage(padded, 3, message.length)).toEqual(decode(message));
      }),
    );
  });
});

describe('terms', () => {
  it.each([
    ['0.0.0.0', '255.255.255.0', /reserved/],
    ['127.0.0.1', '255.0.0.0', /reserved/],
    ['224.0.0.9', '255.255.255.0', /multicast/],
    ['255.255.255.255', '255.255.255.0', /reserved|broadcast/],
    ['10.0.0.255', '255.255.255.0', /broadcast/],
    ['10.0.0.0', '255.255.255.0', /network/],
    ['10.0.0.9', '255.255.255.0', /address of the server/],
  ])('%s with mask %s is no address for us', (address, mask, fault) => {
    const message = ack({}, { address, mask })!;
    expect(addressFault(message)).toMatch(fault);
    expect(termsOf(message)).toMatch(fault);
  });

  it('want a server with an address, and a lease that lasts', () => {
    expect(addressFault(ack({}, { server: '0.0.0.0' })!)).toMatch('0.0.0.0');
    for (const lease of [0, 1, null]) expect(termsOf(ack({}, { lease })!)).toMatch(/lease is [01] s long/);
  });

  it('leave out what is no use: a router elsewhere, a tiny MTU, a strange domain', () => {
    const more = {
      3: [10, 1, 0, 1, 10, 0, 0, 57, 10, 0, 0, 2],
      6: [0, 0, 0, 0, 9, 9, 9, 9],
      26: [0, 68],
      15: [...Buffer.from('a b')],
    };
    const terms = termsOf(ack(more)!);
    expect(terms).toMatchObject({ lease: { router: '10.0.0.2', dns: ['9.9.9.9'], mtu: null, domain: null } });
  });

  it('have times of the lease, or those of the server where they make sense', () => {
    const word = (value: number): number[] => [0, 0, value >>> 8, value & 255];
    const times = (t1: number, t2: number, lease = 1000) => termsOf(ack({ 58: word(t1), 59: word(t2) }, { lease })!);
    expect(times(10, 20)).toMatchObject({ t1: 10_000, t2: 20_000, expiry: 1_000_000 });
    for (const [t1, t2] of [
      [0, 20],
      [20, 20],
      [30, 20],
      [10, 1000],
      [10, 5000],
    ] as const) {
      expect(times(t1, t2)).toMatchObject({ t1: 500_000, t2: 875_000 });
    }
    expect(times(10, 20, 0xffffffff)).toMatchObject({ t1: Number.POSITIVE_INFINITY, expiry: Number.POSITIVE_INFINITY });
  });

  it.each([
    ['10.0.0.57', 8],
    ['172.16.0.57', 16],
    ['192.168.1.57', 24],
  ])('without a mask follow from the class of %s', (address, prefixLength) => {
    expect(termsOf(ack({}, { address, mask: null, server: '192.0.2.1' })!)).toMatchObject({ host: { prefixLength } });
  });
});
