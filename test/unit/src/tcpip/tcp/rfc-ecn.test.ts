/** Explicit congestion notification, as the peer sees it: RFC 3168, 6.1. */
import { afterEach, describe, expect, it } from 'vitest';
import { accepted, connecting, listening, type Peer, stopPeers } from '../../../../support/tcpip/rfc/peer.js';

afterEach(stopPeers);

/** A connection with ECN that the peer has opened. */
async function capable(): Promise<Peer> {
  const s = await listening({ ecn: true });
  s.inject('SEW 0:0(0) win 65535 <mss 1000>');
  s.expect('S.E 0:0(0) ack 1 <mss 1460>');
  s.inject('. 1:1(0) ack 1 win 65535');
  expect(s.connection.info().ecn).toBe(true);
  return s;
}

describe('the negotiation of ECN', () => {
  it('is off by default', async () => {
    const s = await listening();
    s.inject('SEW 0:0(0) win 65535 <mss 1000>');
    s.expect('[noecn] S. 0:0(0) ack 1 <mss 1460>');
    s.inject('. 1:1(0) ack 1 win 65535');
    s.write(10);
    s.expect('[noecn] P. 1:11(10) ack 1');
    const t = await connecting();
    t.expect('[noecn] S 0:0(0) <...>');
  });

  it('is asked for by a SYN, and agreed to by a SYN-ACK with ECE alone', async () => {
    const s = await connecting({ ecn: true });
    s.expect('[noecn] SEW 0:0(0) <...>');
    s.inject('S.E 0:0(0) ack 1 win 65535 <mss 1000>');
    s.expect('[noecn] . 1:1(0) ack 1');
    expect(s.connection.info().ecn).toBe(true);
    s.write(10);
    s.expect('[ect0] P. 1:11(10) ack 1');
  });

  it('is given up when no router lets such a SYN pass (6.1.1.1)', async () => {
    const s = await connecting({ ecn: true });
    s.run(40_000);
    const flags = s.take().map((segment) => segment.flags);
    expect(flags[0]).toBe('SEW');
    expect(flags.at(-1)).toBe('S');
    s.inject('S.E 0:0(0) ack 1 win 65535 <mss 1000>');
    expect(s.events).toEqual(['open']);
  });

  it.each(['S.', 'S.EW', 'S.W'])('is off if the SYN-ACK has the flags %s', async (flags) => {
    const s = await connecting({ ecn: true });
    s.expect('SEW 0:0(0) <...>');
    s.inject(`${flags} 0:0(0) ack 1 win 65535 <mss 1000>`);
    s.expect('. 1:1(0) ack 1');
    expect(s.connection.info().ecn).toBe(false);
    s.write(10);
    s.expect('[noecn] P. 1:11(10) ack 1');
  });

  it.each(['S', 'SE', 'SW'])('is not agreed to for the flags %s', async (flags) => {
    const s = await listening({ ecn: true });
    s.inject(`${flags} 0:0(0) win 65535 <mss 1000>`);
    s.expect('S. 0:0(0) ack 1 <mss 1460>');
  });
});

describe('a connection with ECN', () => {
  // Clauses: SHLD-8
  it('marks data as capable; ACKs, probes and retransmissions not', async () => {
    const s = await capable();
    s.write(2000);
    s.expect('[ect0] . 1:1001(1000) ack 1', '[ect0] P. 1001:2001(1000) ack 1');
    s.inject('P. 1:11(10) ack 1 win 65535');
    s.expect('[noecn] . 2001:2001(0) ack 11');
    const again = s.nextAgain(5000);
    // RFC 3168, 6.1.5.
    expect(again.segment.ecn).toBe('noecn');
  });

  it('does not echo the mark of a segment without data (6.1.4)', async () => {
    const s = await capable();
    s.inject('[ce] . 1:1(0) ack 1 win 65535');
    s.inject('P. 1:11(10) ack 1 win 65535');
    s.expect('. 1:1(0) ack 11');
  });

  it('echoes CE with every ACK until the peer has reduced its window', async () => {
    const s = await capable();
    s.inject('[ce] P. 1:11(10) ack 1 win 65535');
    s.expect('.E 1:1(0) ack 11');
    s.inject('[ect0] P. 11:21(10) ack 1 win 65535');
    s.expect('.E 1:1(0) ack 21');
    s.inject('[ect0] P.W 21:31(10) ack 1 win 65535');
    s.expect('. 1:1(0) ack 31');
    s.inject('[ce] P.W 31:41(10) ack 1 win 65535');
    s.expect('.E 1:1(0) ack 41');
  });

  it('reduces its window once per round trip for ECE, and says so by CWR', async () => {
    const s = await capable();
    s.write(5000);
    s.run(1);
    s.clear();
    const before = s.connection.info().congestionWindow;
    s.inject('.E 1:1(0) ack 1001 win 65535');
    s.inject('.E 1:1(0) ack 2001 win 65535');
    const { slowStartThreshold } = s.connection.info();
    expect(slowStartThreshold).toBeLessThan(before);
    s.inject('.E 1:1(0) ack 5001 win 65535');
    expect(s.connection.info().slowStartThreshold).toBe(slowStartThreshold);
    s.write(1000);
    s.expect('P.W 5001:6001(1000) ack 1');
    s.write(1000);
    s.inject('. 1:1(0) ack 6001 win 65535');
    s.expectSome('P. 6001:7001(1000) ack 1');
  });

  it('ignores marks of a connection without ECN', async () => {
    const s = await accepted();
    s.inject('[ce] P. 1:11(10) ack 1 win 65535');
    s.expect('. 1:1(0) ack 11');
    s.write(2000);
    s.run(1);
    s.clear();
    const before = s.connection.info().congestionWindow;
    s.inject('.E 11:11(0) ack 2001 win 65535');
    expect(s.connection.info().congestionWindow).toBeGreaterThanOrEqual(before);
  });
});
