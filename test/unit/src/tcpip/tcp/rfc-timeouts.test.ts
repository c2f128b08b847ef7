/** Keep-alive, user timeout and the thresholds R1 and R2: RFC 9293, 3.8.3 and 3.8.4. */
import { afterEach, describe, expect, it } from 'vitest';
import { accepted, stopPeers } from '../../../../support/tcpip/rfc/peer.js';

afterEach(stopPeers);

const HOUR = 3_600_000;

describe('keep-alive', () => {
  // Clauses: MUST-25
  it('is off by default: an idle connection is silent and stays', async () => {
    const s = await accepted();
    s.silence(10 * HOUR);
    expect(s.state).toBe('ESTABLISHED');
  });

  // Clauses: MAY-5, MUST-24, MUST-27, SHLD-12
  it('probes after the time that the option gives, without data', async () => {
    const s = await accepted({ keepAlive: 60_000 });
    s.silence(59_900);
    const [probe] = s.next(1000);
    expect(probe).toMatchObject({ flags: '.', seq: 0, ack: 1, length: 0 });
    s.inject('. 1:1(0) ack 1 win 65535');
    s.silence(59_000);
  });

  it('can be switched on and off on an open connection', async () => {
    const s = await accepted();
    s.connection.setKeepAlive(60_000);
    s.run(61_000);
    expect(s.take()).toMatchObject([{ flags: '.', seq: 0, length: 0 }]);
    s.inject('. 1:1(0) ack 1 win 65535');
    s.connection.setKeepAlive(0);
    s.silence(10 * HOUR);
  });

  it.each([-1, 0.5, Number.NaN, 2 ** 31])('refuses an idle time of %d ms', async (idle) => {
    const s = await accepted();
    expect(() => s.connection.setKeepAlive(idle)).toThrow('setKeepAlive: idleMs is a whole number from 0 to');
    s.silence(1000);
  });

  // Clauses: MUST-26
  it('does not probe while segments come or data is outstanding', async () => {
    const s = await accepted({ keepAlive: 60_000 });
    for (let i = 0; i < 10; i++) {
      s.silence(50_000);
      s.inject('. 1:1(0) ack 1 win 65535');
    }
    s.inject('. 1:1(0) ack 1 win 65535');
    s.write(10);
    s.runUntil(() => s.events.length > 1, 30 * HOUR);
    // Only retransmissions: a probe would have the sequence number before SND.UNA.
    expect(s.all.filter(({ seq }) => seq === 0)).toEqual([]);
  });

  // Clauses: MUST-29
  it('takes several unanswered probes before it gives the peer up', async () => {
    const s = await accepted({ keepAlive: 60_000 });
    s.runUntil(() => s.events.length > 1, HOUR);
    expect(s.events).toEqual(['open', 'close ETIMEDOUT']);
    expect(s.all.filter(({ seq, length }) => seq === 0 && length === 0).length).toBeGreaterThan(2);
  });

  it('goes on after one lost probe', async () => {
    const s = await accepted({ keepAlive: 60_000 });
    s.next(61_000);
    s.next(200_000);
    s.inject('. 1:1(0) ack 1 win 65535');
    s.silence(59_000);
    expect(s.state).toBe('ESTABLISHED');
  });

  it('does not probe when both sides have ended, and only data is left to be read', async () => {
    const s = await accepted({ keepAlive: 60_000 });
    s.pause();
    s.end();
    s.expect('F. 1:1(0) ack 1');
    s.inject('. 1:1(0) ack 2 win 65535');
    s.inject('F. 1:11(10) ack 2 win 65535');
    s.expect('. 2:2(0) ack 12');
    s.silence(10 * HOUR);
    s.resume();
    expect(s.events).toEqual(['open', 'data 1..10', 'end', 'close']);
  });

  it('is answered: a probe of the peer gets an ACK, with and without a byte of garbage', async () => {
    const s = await accepted();
    s.inject('. 0:0(0) ack 1 win 65535');
    s.expect('. 1:1(0) ack 1');
    s.inject('. 0:1(1) ack 1 win 65535');
    s.expect('. 1:1(0) ack 1');
    expect(s.events).toEqual(['open']);
  });
});

describe('after 25 days', () => {
  it('a probe of the peer is answered as the one before', async () => {
    const s = await accepted();
    s.inject('. 0:0(0) ack 1 win 65535');
    s.expect('. 1:1(0) ack 1');
    for (let days = 0; days < 25; days++) s.sleep(24 * HOUR);
    s.inject('. 0:0(0) ack 1 win 65535');
    s.expect('. 1:1(0) ack 1');
  });
});

describe('data that nobody acknowledges', () => {
  // Clauses: MUST-20, SHLD-11
  it('ends the connection with ETIMEDOUT, after 100 seconds at least', async () => {
    const s = await accepted();
    s.write(10);
    s.expect('P. 1:11(10) ack 1');
    const from = s.now;
    s.runUntil(() => s.events.length > 1, 4 * HOUR);
    expect(s.events).toEqual(['open', 'close ETIMEDOUT']);
    expect(s.now - from).toBeGreaterThanOrEqual(100_000);
    // Retransmissions had the same bytes.
    const data = s.all.filter(({ length }) => length > 0);
    expect(data.every(({ seq, length }) => seq === 1 && length === 10)).toBe(true);
    expect(s.all.length).toBeGreaterThan(3);
  });

  // Clauses: MUST-21
  it('ends the connection after the user timeout', async () => {
    const s = await accepted({ userTimeout: 10_000 });
    s.write(10);
    s.expect('P. 1:11(10) ack 1');
    const from = s.now;
    s.runUntil(() => s.events.length > 1, HOUR);
    expect(s.events).toEqual(['open', 'close ETIMEDOUT']);
    expect(s.now - from).toBeGreaterThanOrEqual(9000);
    expect(s.now - from).toBeLessThanOrEqual(30_000);
  });

  it('is counted from when it was sent, not from when the connection became idle', async () => {
    const s = await accepted({ userTimeout: 10_000 });
    s.silence(60_000);
    s.write(10);
    const from = s.now;
    s.runUntil(() => s.events.length > 1, HOUR);
    expect(s.events).toEqual(['open', 'close ETIMEDOUT']);
    expect(s.now - from).toBeGreaterThanOrEqual(9000);
  });

  it('is counted from when it began to wait for a window', async () => {
    const s = await accepted({ userTimeout: 10_000, window: 0 });
    s.silence(60_000);
    s.write(10);
    const from = s.now;
    s.runUntil(() => s.events.length > 1, HOUR);
    expect(s.events).toEqual(['open', 'close ETIMEDOUT']);
    expect(s.now - from).toBeGreaterThanOrEqual(9000);
  });

  it('waits for a window although the peer was silent for long before', async () => {
    const s = await accepted({ window: 0 });
    s.silence(HOUR);
    s.write(10);
    const [probe] = s.next(2000);
    expect(probe).toMatchObject({ flags: '.', seq: 0, length: 0 });
    s.inject('. 1:1(0) ack 1 win 65535');
    s.expect('P. 1:11(10) ack 1');
  });

  it('does not end the connection as long as some of it is acknowledged', async () => {
    const s = await accepted({ userTimeout: 10_000 });
    s.write(900);
    s.expect('P. 1:901(900) ack 1');
    for (let ack = 101; ack <= 901; ack += 100) {
      s.run(6000);
      s.inject(`. 1:1(0) ack ${ack} win 65535`);
    }
    expect(s.state).toBe('ESTABLISHED');
  });

  it('in FIN-WAIT-2 ends nothing: nothing is outstanding', async () => {
    const s = await accepted({ userTimeout: 10_000 });
    s.end();
    s.expect('F. 1:1(0) ack 1');
    s.inject('. 1:1(0) ack 2 win 65535');
    s.run(30_000);
    s.inject('P. 1:11(10) ack 2 win 65535');
    expect(s.events.slice(0, 2)).toEqual(['open', 'data 1..10']);
  });
});
