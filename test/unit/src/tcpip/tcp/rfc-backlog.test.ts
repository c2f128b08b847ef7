/** Half-open connections: the backlog, SYN cookies (RFC 4987, 3.6), and connections that are full. */
import { afterEach, describe, expect, it } from 'vitest';
import { listening, type Peer, stopPeers } from '../../../../support/tcpip/rfc/peer.js';

afterEach(stopPeers);

/** The peer begins `count` handshakes from ports of their own, and ends none. */
function flood(s: Peer, count: number, from = 20_000): void {
  for (let port = from; port < from + count; port++) {
    s.from(port);
    s.inject('S 0:0(0) win 65535 <mss 1000>');
  }
}

describe('a listener whose backlog is full', () => {
  it('answers with cookies, and needs no memory for them', async () => {
    const s = await listening({ backlog: 8 });
    flood(s, 100);
    expect(s.take().length).toBe(100);
    expect(s.connections).toBeLessThanOrEqual(8);
    expect(s.report().tcp_cookies_sent).toBeGreaterThanOrEqual(92);
  });

  it('opens a connection by the ACK of a cookie, with its MSS', async () => {
    const s = await listening({ backlog: 8 });
    flood(s, 20);
    s.clear();
    s.from(30_000);
    s.inject('S 0:0(0) win 65535 <mss 1400>');
    s.expect('S. 0:0(0) ack 1 <...>');
    s.inject('. 1:1(0) ack 1 win 65535');
    expect(s.events).toEqual(['open']);
    s.write(3000);
    const [first] = s.take();
    expect(first!.length).toBeGreaterThanOrEqual(536);
    expect(first!.length).toBeLessThanOrEqual(1400);
    expect(s.report().tcp_cookies_accepted).toBe(1);
  });

  it('takes no round trip from the ACK of a cookie, whose time was not kept', async () => {
    const s = await listening({ backlog: 8 });
    flood(s, 20);
    s.clear();
    s.from(30_000);
    s.inject('S 0:0(0) win 65535 <mss 1400>');
    s.expect('S. 0:0(0) ack 1 <...>');
    s.run(300);
    s.inject('. 1:1(0) ack 1 win 65535');
    expect(s.connection.info()).toMatchObject({ rtt: 0, minRtt: 0, rto: 1000 });
  });

  it('keeps options by the timestamp of the cookie', async () => {
    const s = await listening({ backlog: 8 });
    flood(s, 20);
    s.clear();
    s.from(30_000);
    s.inject('S 0:0(0) win 65535 <mss 1400, sackOK, TS val 1000 ecr 0, nop, wscale 5>');
    s.expect('S. 0:0(0) ack 1 <...>');
    s.inject('. 1:1(0) ack 1 win 1000 <nop, nop, TS val 1001 ecr last>');
    expect(s.events).toEqual(['open']);
    expect(s.connection.info()).toMatchObject({ timestamps: true, sack: true, sendScale: 5, sendWindow: 32_000 });
  });

  it('takes the data that comes with the ACK of a cookie', async () => {
    const s = await listening({ backlog: 8 });
    flood(s, 20);
    s.clear();
    s.from(30_000);
    s.inject('S 0:0(0) win 65535 <mss 1400>');
    s.expect('S. 0:0(0) ack 1 <...>');
    s.inject('P. 1:11(10) ack 1 win 65535');
    expect(s.events).toEqual(['open', 'data 1..10']);
  });

  it('waits for the first data when later data comes with the ACK of a cookie', async () => {
    const s = await listening({ backlog: 8 });
    flood(s, 20);
    s.clear();
    s.from(30_000);
    s.inject('S 0:0(0) win 65535 <mss 1400>');
    s.expect('S. 0:0(0) ack 1 <...>');
    s.inject('P. 11:21(10) ack 1 win 65535');
    s.silence(100);
    s.inject('P. 1:11(10) ack 1 win 65535', 'P. 11:21(10) ack 1 win 65535');
    expect(s.events).toEqual(['open', 'data 1..10', 'data 11..20']);
  });

  it('answers an ACK of no cookie with a RST', async () => {
    const s = await listening({ backlog: 8 });
    flood(s, 20);
    s.clear();
    s.from(30_000);
    s.inject('. 1:1(0) ack 12345 win 65535');
    s.expect('R 12345:12345(0)');
    expect(s.events).toEqual([]);
  });

  it('accepts a cookie for two minutes or so, and no longer', async () => {
    const s = await listening({ backlog: 8 });
    flood(s, 20);
    s.clear();
    s.from(30_000);
    s.inject('S 0:0(0) win 65535 <mss 1400>');
    s.expect('S. 0:0(0) ack 1 <...>');
    s.run(200_000);
    s.clear();
    s.inject('. 1:1(0) ack 1 win 65535');
    s.expect('R 1:1(0)');
    expect(s.events).toEqual([]);
  });

  it('serves those in its backlog meanwhile', async () => {
    const s = await listening({ backlog: 8 });
    s.from(19_000);
    s.inject('S 0:0(0) win 65535 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <...>');
    flood(s, 100);
    s.clear();
    s.from(19_000);
    s.inject('. 1:1(0) ack 1 win 65535');
    expect(s.events).toEqual(['open']);
  });

  it('has room again when handshakes are given up', async () => {
    const s = await listening({ backlog: 8 });
    flood(s, 8);
    s.run(300_000);
    s.clear();
    expect(s.connections).toBe(0);
    const before = s.report().tcp_cookies_sent;
    s.from(30_000);
    s.inject('S 0:0(0) win 65535 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <...>');
    expect(s.report().tcp_cookies_sent).toBe(before);
  });
});

describe('a table of connections that is full', () => {
  it('drops SYNs, counts them, and serves those that it has', async () => {
    const s = await listening({ maxConnections: 4 });
    for (let port = 20_000; port < 20_004; port++) {
      s.from(port);
      s.inject('S 0:0(0) win 65535 <mss 1000>');
      s.inject('. 1:1(0) ack 1 win 65535');
    }
    s.clear();
    expect(s.events).toEqual(['open', 'open', 'open', 'open']);
    s.from(30_000);
    s.inject('S 0:0(0) win 65535 <mss 1000>');
    s.run(10);
    s.inject('. 1:1(0) ack 1 win 65535');
    expect(s.events.length).toBe(4);
    expect(s.report().tcp_rows_full).toBeGreaterThan(0);
    s.from(20_002);
    s.clear();
    s.inject('P. 1:11(10) ack 1 win 65535');
    s.expectAck(11);
  });
});
