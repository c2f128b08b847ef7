/** What TCP does with ICMP errors: RFC 9293, 3.9.2.2, and the checks of RFC 5927; path MTU discovery: RFC 1191. */
import { afterEach, describe, expect, it } from 'vitest';
import { accepted, connecting, listening, stopPeers } from '../../../../support/tcpip/rfc/peer.js';

afterEach(stopPeers);

const UNREACHABLE = 3;
const SOURCE_QUENCH = 4;
const TIME_EXCEEDED = 11;
const PARAMETER_PROBLEM = 12;

describe('an ICMP error about an open connection', () => {
  // Clauses: MUST-56
  it.each([
    [UNREACHABLE, 0],
    [UNREACHABLE, 1],
    [UNREACHABLE, 5],
    [TIME_EXCEEDED, 0],
    [TIME_EXCEEDED, 1],
    [PARAMETER_PROBLEM, 0],
  ])('of type %i, code %i, is soft: the connection goes on', async (type, code) => {
    const s = await accepted();
    s.write(10);
    s.expect('P. 1:11(10) ack 1');
    s.icmp({ type, code, quote: 'P. 1:11(10) ack 1' });
    expect(s.events).toEqual(['open']);
    s.inject('. 1:1(0) ack 11 win 65535');
    expect(s.connection.buffered).toBe(0);
    s.silence(10_000);
  });

  // RFC 5927, 5.2: in synchronized states hard errors count as soft ones.
  it.each([2, 3, 4])('of code %i does not end it either, whoever sends it', async (code) => {
    const s = await accepted();
    s.write(10);
    s.expect('P. 1:11(10) ack 1');
    s.icmp({ type: UNREACHABLE, code, mtu: 1500, quote: 'P. 1:11(10) ack 1' });
    expect(s.events).toEqual(['open']);
    s.inject('. 1:1(0) ack 11 win 65535');
    expect(s.connection.buffered).toBe(0);
  });

  // Clauses: MUST-55
  it('that is a Source Quench is dropped', async () => {
    const s = await accepted();
    s.write(10);
    s.expect('P. 1:11(10) ack 1');
    const before = s.connection.info();
    s.icmp({ type: SOURCE_QUENCH, code: 0, quote: 'P. 1:11(10) ack 1' });
    expect(s.connection.info().congestionWindow).toBe(before.congestionWindow);
    s.inject('. 1:1(0) ack 11 win 65535');
    expect(s.connection.buffered).toBe(0);
  });

  // Clauses: SHLD-25, MUST-47
  it('names the reason when the connection times out later', async () => {
    const s = await accepted({ userTimeout: 10_000 });
    s.write(10);
    s.expect('P. 1:11(10) ack 1');
    s.icmp({ type: UNREACHABLE, code: 1, quote: 'P. 1:11(10) ack 1' });
    s.runUntil(() => s.events.length > 1, 100_000);
    expect(s.events).toEqual(['open', 'close EHOSTUNREACH']);
  });

  it('with a sequence number that is not in flight is ignored', async () => {
    const s = await accepted();
    s.write(10);
    s.expect('P. 1:11(10) ack 1');
    for (const quote of ['. 11:11(0) ack 1', '. 5000:6000(1000) ack 1', '. -999:1(1000) ack 1']) {
      s.icmp({ type: UNREACHABLE, code: 4, mtu: 600, quote });
    }
    s.inject('. 1:1(0) ack 11 win 65535');
    expect(s.report().tcp_icmp_ignored).toBe(3);
    s.write(2000);
    expect(s.take()[0]!.length).toBe(1000);
  });
});

describe('an ICMP error about a SYN', () => {
  // Clauses: MUST-54, SHLD-26
  it.each([
    [2, 'ECONNREFUSED'],
    [3, 'ECONNREFUSED'],
    // Soft ones, which end an attempt as in Linux (RFC 5461, 4.1).
    [0, 'ENETUNREACH'],
    [1, 'EHOSTUNREACH'],
    [5, 'EHOSTUNREACH'],
  ])('of code %i ends the attempt with %s', async (code, error) => {
    const s = await connecting();
    const [syn] = s.expect('S 0:0(0) win 65535 <...>');
    expect(syn!.flags).toBe('S');
    s.icmp({ type: UNREACHABLE, code, quote: 'S 0:0(0)' });
    s.silence(5000);
    expect(s.events).toEqual([`close ${error}`]);
  });

  it.each([
    [TIME_EXCEEDED, 0],
    [PARAMETER_PROBLEM, 0],
  ])('of type %i, code %i, is soft: the SYN is sent again', async (type, code) => {
    const s = await connecting();
    s.expect('S 0:0(0) win 65535 <...>');
    s.icmp({ type, code, quote: 'S 0:0(0)' });
    expect(s.events).toEqual([]);
    expect(s.next(1100)[0]).toMatchObject({ flags: 'S', seq: 0 });
    s.inject('S. 0:0(0) ack 1 win 65535 <mss 1000>');
    expect(s.events).toEqual(['open']);
  });

  it('with another sequence number is ignored', async () => {
    const s = await connecting();
    s.expect('S 0:0(0) win 65535 <...>');
    s.icmp({ type: UNREACHABLE, code: 3, quote: 'S 77:77(0)' });
    s.run(500);
    expect(s.events).toEqual([]);
  });

  it('does nothing to a connection that another has half opened', async () => {
    const s = await listening();
    s.inject('S 0:0(0) win 65535 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <...>');
    s.icmp({ type: UNREACHABLE, code: 1, quote: 'S. 0:0(0) ack 1' });
    s.inject('. 1:1(0) ack 1 win 65535');
    expect(s.events).toEqual(['open']);
  });
});

describe('fragmentation needed', () => {
  // Clauses: 7323-5.7a
  it('reduces the segments to the MTU that it names, and sends what was lost again', async () => {
    const s = await accepted({ peer: '<mss 1460, sackOK>' });
    s.write(4000);
    s.run(1);
    expect(s.take()[0]!.length).toBe(1460);
    const before = s.connection.info().congestionWindow;
    s.icmp({ type: UNREACHABLE, code: 4, mtu: 1000, quote: '. 1:1461(1460) ack 1' });
    s.run(1);
    const again = s.take();
    expect(again[0]).toMatchObject({ seq: 1, length: 960 });
    expect(again.every(({ length }) => length <= 960)).toBe(true);
    // The loss says nothing of congestion.
    expect(s.connection.info().congestionWindow).toBeGreaterThanOrEqual(before * 0.6);
    expect(s.connection.info().mss).toBe(960);
  });

  // RFC 4821, 7.7; RFC 8899, 4.3.
  it('is not needed: smaller segments are tried when large ones get lost in silence', async () => {
    const s = await accepted({ peer: '<mss 1460, sackOK>' });
    s.write(1460);
    expect(s.take()[0]!.length).toBe(1460);
    s.runUntil(() => s.peek().some(({ length }) => length > 0 && length <= 1160), 600_000);
    const small = s.take().find(({ length }) => length > 0 && length <= 1160)!;
    expect(small.seq).toBe(1);
    s.inject(`. 1:1(0) ack ${1 + small.length} win 65535`);
    s.run(10);
    s.inject('. 1:1(0) ack 1461 win 65535');
    expect(s.connection.buffered).toBe(0);
    // What follows is small from the beginning.
    s.write(5000);
    s.run(100);
    expect(Math.max(...s.take().map(({ length }) => length))).toBeLessThanOrEqual(1160);
  });

  it.each([0, 20, 67, 1500, 9000, 65535])('with an MTU of %i does no harm', async (mtu) => {
    const s = await accepted({ peer: '<mss 1460, sackOK>' });
    s.write(4000);
    s.run(1);
    s.clear();
    s.icmp({ type: UNREACHABLE, code: 4, mtu, quote: '. 1:1461(1460) ack 1' });
    s.run(1000);
    const { mss } = s.connection.info();
    // RFC 1191, 3: a host must never reduce its estimate below 68. RFC 5927, 7.2 and Linux: not so far, either.
    expect(mss).toBeGreaterThanOrEqual(Math.min(512, mtu === 0 ? 28 : 512));
    expect(mss).toBeLessThanOrEqual(1460);
    s.inject('. 1:1(0) ack 4001 win 65535');
    expect(s.connection.buffered).toBe(0);
  });
});
