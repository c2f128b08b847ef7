/** What is sent, and when: segment size, PSH, Nagle, silly windows, closed and shrinking windows (RFC 9293, 3.7, 3.8.6). */
import { afterEach, describe, expect, it } from 'vitest';
import { accepted, connecting, stopPeers } from '../../../../support/tcpip/rfc/peer.js';

afterEach(stopPeers);

describe('segments', () => {
  // Clauses: SHLD-27, SHLD-28, MUST-61, MUST-16
  it('are as large as the peer allows, and only the last has PSH', async () => {
    const s = await accepted();
    s.write(3500);
    s.expect('. 1:1001(1000) ack 1', '. 1001:2001(1000) ack 1', '. 2001:3001(1000) ack 1', 'P. 3001:3501(500) ack 1');
  });

  // Clauses: MUST-15
  it('have at most 536 bytes if the peer sent no MSS', async () => {
    const s = await accepted({ peer: '' });
    s.write(1000);
    expect(s.take()[0]).toMatchObject({ seq: 1, length: 536 });
  });

  it('have room for the options that every segment carries', async () => {
    const s = await accepted({ peer: '<mss 1000, sackOK, TS val 1 ecr 0>' });
    s.write(2000);
    expect(s.take()[0]).toMatchObject({ length: 988 });
  });

  it.each([0, 1, 40, 65535])('have a sensible size for an MSS of %i', async (mss) => {
    const s = await accepted({ peer: `<mss ${mss}>`, noDelay: true });
    s.write(5000);
    const [first] = s.take();
    expect(first!.length).toBeGreaterThanOrEqual(Math.min(mss, 1));
    expect(first!.length).toBeLessThanOrEqual(1460);
    if (mss === 65535) expect(first!.length).toBe(1460);
  });

  // Clauses: MUST-65
  it('without SYN carry no MSS, window scale and SACK-permitted', async () => {
    const s = await accepted({ peer: '<mss 1000, sackOK, TS val 1 ecr 0, nop, wscale 3>' });
    s.write(5000);
    s.inject(s.stamp('. 1:1(0) ack 1001 win 1000'));
    s.end();
    s.run(3000);
    expect(s.all.length).toBeGreaterThan(5);
    expect(s.all.filter(({ options }) => /mss|wscale|sackOK/.test(options))).toEqual([]);
  });

  it('go out though the application has filled all of the memory', async () => {
    const s = await accepted({ memory: 65_536, sendBuffer: 65_536 });
    let taken = 0;
    for (let more = s.write(65_536); more > 0; more = s.write(65_536)) taken += more;
    expect(taken).toBeGreaterThan(0);
    for (let rounds = 0; s.connection.buffered > 0 && rounds < 100; rounds++) {
      s.run(10);
      const last = Math.max(...s.take().map(({ seq, length }) => seq + length));
      s.inject(`. 1:1(0) ack ${last} win 65535`);
    }
    expect(s.connection.buffered).toBe(0);
  });

  it('of several writes in one turn are combined', async () => {
    const s = await accepted({ noDelay: true });
    s.turn(() => {
      for (let i = 0; i < 10; i++) s.write(100);
    });
    const sent = s.take();
    expect(sent.reduce((sum, { length }) => sum + length, 0)).toBe(1000);
  });
});

describe('the Diffserv field', () => {
  // Clauses: MUST-48, SHLD-22
  it('of all segments is that of the option', async () => {
    const s = await connecting({ dscp: 46, ecn: true });
    s.inject('S.E 0:0(0) ack 1 win 65535 <mss 1000>');
    s.write(1500);
    s.inject('P. 1:11(10) ack 1001 win 65535');
    s.end();
    s.run(5000);
    expect(s.all.length).toBeGreaterThan(5);
    expect(new Set(s.all.map(({ segment }) => segment.dscp))).toEqual(new Set([46]));
  });

  it('is 0 by default, and no more than 63', async () => {
    const s = await connecting();
    expect(s.take()[0]!.segment.dscp).toBe(0);
    expect(() => s.stack.tcp.listen({ port: 9, dscp: 64 }, {})).toThrow(/dscp/);
  });
});

describe('Nagle’s algorithm', () => {
  // Clauses: SHLD-7, MUST-60, MAY-16
  it('holds a small segment while another is outstanding, and no longer', async () => {
    const s = await accepted();
    s.write(10);
    s.expect('P. 1:11(10) ack 1');
    s.write(10);
    s.write(10);
    expect(s.take()).toEqual([]);
    s.inject('. 1:1(0) ack 11 win 65535');
    s.expect('P. 11:31(20) ack 1');
  });

  it('sends full segments meanwhile', async () => {
    const s = await accepted();
    s.write(10);
    s.expect('P. 1:11(10) ack 1');
    s.write(2500);
    const sent = s.take();
    expect(sent.map(({ length }) => length)).toEqual([1000, 1000]);
    s.inject('. 1:1(0) ack 2011 win 65535');
    s.expect('P. 2011:2511(500) ack 1');
  });

  // Clauses: MUST-17
  it('can be switched off', async () => {
    for (const s of [await accepted({ noDelay: true }), await accepted()]) {
      s.connection.setNoDelay(true);
      s.write(10);
      s.expect('P. 1:11(10) ack 1');
      s.write(10);
      s.expect('P. 11:21(10) ack 1');
    }
  });

  it('sends the rest with the FIN', async () => {
    const s = await accepted();
    s.write(10);
    s.expect('P. 1:11(10) ack 1');
    s.write(10);
    s.end();
    s.run(1);
    s.inject('. 1:1(0) ack 11 win 65535');
    s.expectSome('FP. 11:21(10) ack 1');
  });
});

describe('the peer’s window', () => {
  // Clauses: MUST-1, REC-1
  it.each([32768, 65535])('of %i is no negative number', async (window) => {
    const s = await accepted({ window });
    s.write(5000);
    s.expect(...[0, 1, 2, 3, 4].map((i) => `* ${i * 1000 + 1}:${i * 1000 + 1001}(1000) ack 1`));
  });

  // Clauses: 7323-2.4d
  it('is never exceeded by new data', async () => {
    const s = await accepted({ window: 2500, noDelay: true });
    s.write(10_000);
    s.run(100);
    const sent = s.take().reduce((most, { seq, length }) => Math.max(most, seq + length), 0);
    expect(sent).toBeGreaterThanOrEqual(2001);
    expect(sent).toBeLessThanOrEqual(2501);
  });

  // Clauses: MUST-38
  it('is not filled by small segments while larger ones are possible later', async () => {
    const s = await accepted({ window: 2100, noDelay: true });
    s.write(10_000);
    s.expect('* 1:1001(1000) ack 1', '* 1001:2001(1000) ack 1');
    s.inject('. 1:1(0) ack 2001 win 100');
    // 100 bytes are neither a segment nor half of the largest window.
    s.silence(100);
    s.inject('. 1:1(0) ack 2001 win 2100');
    s.expect('* 2001:3001(1000) ack 1', '* 3001:4001(1000) ack 1');
  });

  it('of less than a segment is used when it is half of the largest one', async () => {
    const s = await accepted({ window: 500, noDelay: true });
    s.write(2000);
    s.expect('* 1:501(500) ack 1');
    s.inject('. 1:1(0) ack 501 win 300');
    s.expect('* 501:801(300) ack 1');
  });

  // Clauses: MUST-36, SHLD-29, SHLD-30, MUST-37
  it('of zero is probed after the RTO, then more and more rarely, without end', async () => {
    const s = await accepted();
    s.inject('. 1:1(0) ack 1 win 0');
    s.write(2000);
    const from = s.now;
    let last = from;
    let gap = 0;
    for (let probes = 0; probes < 40; probes++) {
      const [probe] = s.next(200_000);
      // A probe carries a byte that the window does not allow, or one that was acknowledged.
      expect(probe!.seq).toBeLessThanOrEqual(1);
      expect(probe!.length).toBeLessThanOrEqual(1);
      expect(s.now - last).toBeGreaterThanOrEqual(Math.min(gap * 1.9, 59_000));
      gap = s.now - last;
      last = s.now;
      s.inject('. 1:1(0) ack 1 win 0');
      if (probes === 0) expect(gap).toBeGreaterThanOrEqual(190);
    }
    expect(s.state).toBe('ESTABLISHED');
    s.inject('. 1:1(0) ack 1 win 65535');
    s.expectSome('* 1:1001(1000) ack 1', '* 1001:2001(1000) ack 1');
  });

  it('of zero that nobody answers for is given up', async () => {
    const s = await accepted();
    s.inject('. 1:1(0) ack 1 win 0');
    s.write(2000);
    s.runUntil(() => s.events.length > 1, 4_000_000);
    expect(s.events).toEqual(['open', 'close ETIMEDOUT']);
  });

  it('of zero that opens for one byte lets a FIN pass', async () => {
    const s = await accepted();
    s.inject('. 1:1(0) ack 1 win 0');
    s.end();
    s.run(100);
    s.clear();
    s.inject('. 1:1(0) ack 1 win 1');
    s.expectSome('F. 1:1(0) ack 1');
    s.inject('. 1:1(0) ack 2 win 0');
    expect(s.state).toBe('FIN-WAIT-2');
  });

  it('of zero keeps a FIN until it opens', async () => {
    const s = await accepted();
    s.inject('. 1:1(0) ack 1 win 0');
    s.write(10);
    s.end();
    s.run(1000);
    s.clear();
    s.inject('. 1:1(0) ack 1 win 100');
    s.expectSome('FP. 1:11(10) ack 1');
  });

  it('that opens again lets the data flow at once', async () => {
    const s = await accepted({ window: 2000 });
    s.write(4000);
    s.expect('* 1:1001(1000) ack 1', '* 1001:2001(1000) ack 1');
    s.inject('. 1:1(0) ack 2001 win 0');
    s.run(50);
    s.clear();
    s.inject('. 1:1(0) ack 2001 win 2000');
    s.expect('* 2001:3001(1000) ack 1', '* 3001:4001(1000) ack 1');
  });
});

describe('a window that shrinks', () => {
  // Clauses: MUST-34, SHLD-15, 7323-2.4a
  it('stops new data, though less was sent than the peer had offered', async () => {
    const s = await accepted({ window: 4000 });
    s.write(10_000);
    s.expect(...[0, 1, 2, 3].map((i) => `* ${i * 1000 + 1}:${i * 1000 + 1001}(1000) ack 1`));
    // The right edge moves from 4001 to 2501.
    s.inject('. 1:1(0) ack 1001 win 1500');
    s.run(50);
    expect(s.take().filter(({ seq }) => seq >= 4001)).toEqual([]);
    s.inject('. 1:1(0) ack 4001 win 1000');
    s.expect('* 4001:5001(1000) ack 1');
  });

  // Clauses: SHLD-16, SHLD-17
  it('still lets old data be sent again', async () => {
    const s = await accepted({ window: 2000 });
    s.write(2000);
    s.expect('* 1:1001(1000) ack 1', '* 1001:2001(1000) ack 1');
    s.inject('. 1:1(0) ack 1 win 1000');
    s.runUntil(() => s.peek().some(({ seq }) => seq === 1), 5000);
    s.clear();
    s.inject('. 1:1(0) ack 1001 win 1000');
    s.runUntil(() => s.peek().some(({ seq }) => seq === 1001), 10_000);
    s.inject('. 1:1(0) ack 2001 win 1000');
    expect(s.connection.buffered).toBe(0);
  });

  // Clauses: MUST-35, MAY-7
  it('to zero is probed for as long as the peer answers', async () => {
    const s = await accepted({ window: 2000 });
    s.write(4000);
    s.expect('* 1:1001(1000) ack 1', '* 1001:2001(1000) ack 1');
    s.inject('. 1:1(0) ack 1 win 0');
    for (let i = 0; i < 30; i++) {
      s.next(200_000);
      s.inject('. 1:1(0) ack 1 win 0');
      s.clear();
    }
    expect(s.state).toBe('ESTABLISHED');
    s.inject('. 1:1(0) ack 2001 win 2000');
    s.expectSome('* 2001:3001(1000) ack 1', '* 3001:4001(1000) ack 1');
  });
});
