/** The retransmission timer (RFC 6298), congestion control (RFC 5681), RACK-TLP (RFC 8985), seen from the peer. */
import { afterEach, describe, expect, it } from 'vitest';
import { accepted, listening, type Peer, stopPeers } from '../../../../support/tcpip/rfc/peer.js';

afterEach(stopPeers);

/** A connection over a path with a round trip of 100 ms. */
function distant(options: Parameters<typeof accepted>[0] = {}): Promise<Peer> {
  return accepted({ peer: '<mss 1000, sackOK>', roundTrip: 100, ...options });
}
/** Acknowledges what was sent, one round trip later, until `bytes` are acknowledged. */
function stream(s: Peer, bytes: number): void {
  s.write(bytes);
  const end = s.acked + bytes;
  for (let rounds = 0; s.acked < end && rounds < 1000; rounds++) {
    s.run(100);
    const last = s.take().reduce((most, { seq, length }) => Math.max(most, seq + length), s.acked);
    if (last > s.acked) s.inject(`. 1:1(0) ack ${last} win 65535`);
    s.acked = last;
  }
}

describe('the retransmission timer', () => {
  // Clauses: 6298-2.2a, 6298-5.5a, MUST-18, MUST-19
  it('begins with a multiple of the first round trip, and doubles', async () => {
    const s = await distant();
    s.write(10);
    s.expect('P. 1:11(10) ack 1');
    const times = [s.now];
    while (times.length < 6) {
      const [again] = s.next(100_000);
      expect(again).toMatchObject({ seq: 1, length: 10 });
      times.push(s.now);
    }
    const gaps = times.slice(1).map((time, i) => time - times[i]!);
    // SRTT 100 ms, RTTVAR 50 ms: the RTO is 300 ms. The first retransmission may be a loss probe.
    expect(gaps[0]).toBeGreaterThanOrEqual(190);
    expect(gaps[1]! + gaps[0]!).toBeGreaterThanOrEqual(299);
    for (let i = 3; i < gaps.length; i++) {
      expect(gaps[i]! / gaps[i - 1]!).toBeGreaterThan(1.9);
      expect(gaps[i]! / gaps[i - 1]!).toBeLessThan(2.1);
    }
  });

  // Clauses: 6298-3b, 6298-4a
  it('comes near to the round trip and its minimum on a steady path', async () => {
    const s = await distant();
    stream(s, 200_000);
    const { rtt, rto, rttVariance } = s.connection.info();
    expect(rtt).toBeGreaterThan(99);
    expect(rtt).toBeLessThan(102);
    expect(rttVariance).toBeLessThan(50);
    expect(rto).toBeGreaterThanOrEqual(rtt + 1);
    expect(rto).toBeLessThanOrEqual(400);
  });

  // Clauses: 6298-3a
  it('takes no sample from a segment that was sent twice', async () => {
    const s = await distant();
    s.write(10);
    s.expect('P. 1:11(10) ack 1');
    const { rtt } = s.connection.info();
    s.next(10_000);
    s.run(1);
    s.inject('. 1:1(0) ack 11 win 65535');
    expect(s.connection.info().rtt).toBe(rtt);
  });

  // Clauses: 6298-5b
  it('stops when all is acknowledged', async () => {
    const s = await distant();
    s.write(10);
    s.expect('P. 1:11(10) ack 1');
    s.run(100);
    s.inject('. 1:1(0) ack 11 win 65535');
    s.silence(60_000);
  });

  // Clauses: 6298-5a, 6298-1a
  it('begins anew with each ACK of new data: nothing is sent again too early', async () => {
    const s = await distant();
    s.write(3000);
    s.run(1);
    s.clear();
    s.run(99);
    s.inject('. 1:1(0) ack 1001 win 65535');
    const from = s.now;
    const again = s.nextAgain(5000);
    expect(again.seq).toBeGreaterThanOrEqual(1001);
    expect(s.now - from).toBeGreaterThanOrEqual(190);
  });

  // Clauses: 6298-5.7a
  it('begins with three seconds if the SYN was repeated', async () => {
    const s = await listening();
    s.inject('S 0:0(0) win 65535 <mss 1000, sackOK>');
    s.expect('S. 0:0(0) ack 1 <...>');
    s.next(1100);
    s.inject('. 1:1(0) ack 1 win 65535');
    expect(s.connection.info().rto).toBe(3000);
    s.write(10);
    s.expect('P. 1:11(10) ack 1');
    const from = s.now;
    s.next(10_000);
    expect(s.now - from).toBeGreaterThanOrEqual(2990);
  });

  it('never exceeds two minutes', async () => {
    const s = await distant();
    s.write(10);
    s.expect('P. 1:11(10) ack 1');
    let last = s.now;
    while (s.state === 'ESTABLISHED') {
      const [again] = s.next(300_000);
      if (again === undefined) break;
      expect(s.now - last).toBeLessThanOrEqual(121_000);
      last = s.now;
    }
    expect(s.events.at(-1)).toBe('close ETIMEDOUT');
  });

  it('retransmits the same bytes, PSH included', async () => {
    const s = await distant();
    s.write(10);
    s.expect('P. 1:11(10) ack 1');
    s.next(5000);
    expect(s.all.every(({ seq, length, flags }) => seq === 1 && length === 10 && flags === 'P.')).toBe(true);
  });
});

describe('slow start and congestion avoidance', () => {
  it('begins with ten segments', async () => {
    const s = await distant();
    s.write(50_000);
    s.run(50);
    expect(s.take().length).toBe(10);
  });

  // Clauses: MUST-19
  it('doubles the window with each round trip', async () => {
    const s = await distant();
    s.write(60_000);
    s.run(50);
    expect(s.take().length).toBe(10);
    s.run(50);
    for (let ack = 1001; ack <= 10_001; ack += 1000) s.inject(`. 1:1(0) ack ${ack} win 65535`);
    s.run(50);
    expect(s.take().length).toBe(20);
  });

  // Clauses: 2018-5.1a, 8985-9.3a
  it('reduces the window once for the losses of a round trip', async () => {
    const s = await distant();
    s.write(60_000);
    s.run(100);
    s.clear();
    const before = s.connection.info().congestionWindow;
    s.inject('. 1:1(0) ack 1 win 65535 <nop, nop, sack 2001:3001>');
    s.inject('. 1:1(0) ack 1 win 65535 <nop, nop, sack 2001:3001 4001:5001>');
    s.inject('. 1:1(0) ack 1 win 65535 <nop, nop, sack 4001:10001 2001:3001>');
    s.run(60);
    const { congestionWindow, slowStartThreshold, recovery } = s.connection.info();
    expect(recovery).toBe('recovery');
    expect(congestionWindow).toBeLessThanOrEqual(before);
    expect(slowStartThreshold).toBeLessThan(before);
    expect(slowStartThreshold).toBeGreaterThanOrEqual(before / 2);
    const again = s.take().filter((segment) => segment.again);
    expect([...new Set(again.map(({ seq }) => seq))].sort()).toEqual([1, 1001, 3001].sort());
  });

  it('begins with one segment after a timeout', async () => {
    const s = await distant();
    s.write(20_000);
    s.run(10);
    s.clear();
    s.runUntil(() => s.connection.info().recovery === 'loss', 10_000);
    expect(s.connection.info().congestionWindow).toBe(1000);
  });

  // Clauses: MAY-18
  it('is CUBIC, or Reno if the option says so', async () => {
    expect((await distant()).connection.info().congestion).toBe('cubic');
    expect((await distant({ congestion: 'reno' })).connection.info().congestion).toBe('reno');
  });

  it('goes on with limited transmit at the first duplicate ACKs', async () => {
    const s = await accepted({ roundTrip: 100 });
    s.write(30_000);
    s.run(100);
    expect(s.take().length).toBe(10);
    s.inject('. 1:1(0) ack 1 win 65535');
    s.inject('. 1:1(0) ack 1 win 65535');
    const fresh = s.take();
    expect(fresh.map(({ seq }) => seq)).toEqual([10_001, 11_001]);
  });

  it('retransmits at the third duplicate ACK of a peer without SACK', async () => {
    const s = await accepted({ roundTrip: 100 });
    s.write(10_000);
    s.run(100);
    s.clear();
    for (let i = 0; i < 3; i++) s.inject('. 1:1(0) ack 1 win 65535');
    s.run(60);
    expect(s.take().some(({ seq, again }) => seq === 1 && again)).toBe(true);
  });
});

describe('RACK', () => {
  it('sends what came before a SACKed segment again after the reordering window', async () => {
    const s = await distant();
    s.write(5000);
    s.run(100);
    s.clear();
    s.inject('. 1:1(0) ack 1 win 65535 <nop, nop, sack 1001:2001>');
    const from = s.now;
    expect(s.take()).toEqual([]);
    const again = s.nextAgain(1000);
    expect(again).toMatchObject({ seq: 1, length: 1000 });
    // A quarter of the minimum of the round trip (RFC 8985, 6.2, step 4).
    expect(s.now - from).toBeGreaterThanOrEqual(20);
    expect(s.now - from).toBeLessThanOrEqual(40);
  });

  // Clauses: 8985-3.3.2a
  it('does not wait after three SACKed segments, if nothing was reordered yet', async () => {
    const s = await distant();
    s.write(5000);
    s.run(100);
    s.clear();
    s.inject('. 1:1(0) ack 1 win 65535 <nop, nop, sack 1001:4001>');
    expect(s.take()[0]).toMatchObject({ seq: 1, length: 1000 });
  });

  // Clauses: 8985-3.3.2b, 8985-6.2b
  it('sends nothing again when the missing segment comes within the reordering window', async () => {
    const s = await distant();
    s.write(5000);
    s.run(100);
    s.clear();
    s.inject('. 1:1(0) ack 1 win 65535 <nop, nop, sack 1001:2001>');
    s.run(10);
    s.inject('. 1:1(0) ack 2001 win 65535');
    s.run(10);
    s.inject('. 1:1(0) ack 5001 win 65535');
    s.silence(5000);
    expect(s.connection.info().retransmitted).toBe(0);
  });

  // Clauses: 8985-4b
  it('finds a lost retransmission by a segment that was sent after it', async () => {
    const s = await distant();
    s.write(20_000);
    s.run(100);
    s.clear();
    s.inject('. 1:1(0) ack 1 win 65535 <nop, nop, sack 1001:10001>');
    expect(s.take().map(({ seq }) => seq)).toContain(1);
    s.run(100);
    const sent = s.all.reduce((most, { seq, length }) => Math.max(most, seq + length), 0);
    expect(sent).toBeGreaterThan(10_001);
    // New data that was sent after the retransmission has arrived; the retransmission has not.
    s.clear();
    s.inject(`. 1:1(0) ack 1 win 65535 <nop, nop, sack 1001:${sent}>`);
    expect(s.nextAgain(100)).toMatchObject({ seq: 1 });
  });
});

describe('the reordering window', () => {
  /** Five segments, of which the first is late; returns after how many ms it is sent again. */
  function late(s: Peer): number {
    const first = s.acked;
    s.write(5000);
    s.run(100);
    s.clear();
    s.inject(`. 1:1(0) ack ${first} win 65535 <nop, nop, sack ${first + 1000}:${first + 2000}>`);
    const from = s.now;
    expect(s.nextAgain(1000)).toMatchObject({ seq: first });
    const waited = s.now - from;
    // The segment has only been late: the second transmission was not needed, as the D-SACK says.
    s.inject(`. 1:1(0) ack ${first + 5000} win 65535`);
    s.run(100);
    s.inject(`. 1:1(0) ack ${first + 5000} win 65535 <nop, nop, sack ${first}:${first + 1000}>`);
    s.run(1000);
    s.clear();
    s.acked = first + 5000;
    return waited;
  }

  // Clauses: 8985-3.3.2c, 8985-4c, 8985-3.3.2d
  it('grows by a quarter of the round trip with each D-SACK, up to a round trip', async () => {
    const s = await distant();
    const waits = Array.from({ length: 7 }, () => late(s));
    const quarters = waits.map((wait) => Math.round(wait / 25));
    expect(quarters.slice(0, 3)).toEqual([1, 2, 3]);
    expect(Math.max(...waits)).toBeLessThanOrEqual(110);
  });
});

describe('the tail loss probe', () => {
  // Clauses: 8985-7.2c, 8985-7.3c
  it('sends the last segment again after two round trips', async () => {
    const s = await distant();
    s.write(3000);
    s.run(1);
    s.clear();
    const from = s.now;
    const [probe] = s.next(5000);
    expect(probe).toMatchObject({ seq: 2001, length: 1000 });
    expect(s.now - from).toBeGreaterThanOrEqual(190);
    expect(s.now - from).toBeLessThanOrEqual(260);
  });

  // Clauses: 8985-7.2a
  it('is put off by each ACK of new data', async () => {
    const s = await distant();
    s.write(3000);
    s.run(1);
    s.clear();
    s.run(99);
    s.inject('. 1:1(0) ack 1001 win 65535');
    const from = s.now;
    const [probe] = s.next(5000);
    expect(probe).toMatchObject({ seq: 2001, length: 1000 });
    expect(s.now - from).toBeGreaterThanOrEqual(190);
    expect(s.now - from).toBeLessThanOrEqual(260);
  });

  // Clauses: 8985-7.3b
  it('sends new data if there is some', async () => {
    const s = await distant();
    s.write(15_000);
    s.run(1);
    expect(s.take().length).toBe(10);
    const [probe] = s.next(5000);
    expect(probe).toMatchObject({ seq: 10_001, length: 1000 });
  });

  it('sends the last segment again if the window does not allow new data', async () => {
    const s = await distant({ window: 3000 });
    s.write(5000);
    s.run(1);
    expect(s.take().length).toBe(3);
    const [probe] = s.next(5000);
    expect(probe).toMatchObject({ seq: 2001, length: 1000 });
  });

  // Clauses: 8985-7.3e
  it('is sent once; then the timeout sends the first segment', async () => {
    const s = await distant();
    s.write(3000);
    s.run(1);
    s.clear();
    expect(s.next(5000)[0]).toMatchObject({ seq: 2001 });
    expect(s.next(5000)[0]).toMatchObject({ seq: 1 });
  });

  // Clauses: 8985-7.3a
  it('is sent again only after another sample of the round trip', async () => {
    const s = await distant();
    s.write(3000);
    s.run(1);
    s.clear();
    expect(s.next(5000)[0]).toMatchObject({ seq: 2001 });
    // What was sent twice gives no sample, so the end of the next flight waits for the timeout: the first segment.
    s.inject('. 1:1(0) ack 3001 win 65535');
    s.run(99);
    s.inject('. 1:1(0) ack 3001 win 65535 <nop, nop, sack 2001:3001>');
    s.write(3000);
    s.run(1);
    s.clear();
    expect(s.next(5000)[0]).toMatchObject({ seq: 3001, length: 1000 });
    s.run(100);
    s.inject('. 1:1(0) ack 6001 win 65535');
    stream(s, 1000);
    s.write(3000);
    s.run(1);
    s.clear();
    expect(s.next(5000)[0]).toMatchObject({ seq: 9001, length: 1000 });
  });

  // Clauses: 8985-7.3d
  it('finds the losses before it when it is acknowledged', async () => {
    const s = await distant();
    s.write(3000);
    s.run(1);
    s.clear();
    expect(s.next(5000)[0]).toMatchObject({ seq: 2001 });
    s.run(101);
    s.inject('. 1:1(0) ack 1 win 65535 <nop, nop, sack 2001:3001>');
    s.run(60);
    expect(s.take().map(({ seq }) => seq)).toEqual([1]);
    s.inject('. 1:1(0) ack 1001 win 65535 <nop, nop, sack 2001:3001>');
    expect(s.take().map(({ seq }) => seq)).toEqual([1001]);
  });

  // Clauses: 8985-7.4.2b, 8985-7.4.2a
  it('that has repaired the loss of the last segment reduces the window', async () => {
    const s = await distant();
    s.write(3000);
    s.run(1);
    s.clear();
    const before = s.connection.info().congestionWindow;
    expect(s.next(5000)[0]).toMatchObject({ seq: 2001 });
    s.run(101);
    s.inject('. 1:1(0) ack 3001 win 65535');
    // The episode ends with the next ACK beyond the probe.
    s.write(1000);
    s.run(100);
    s.inject('. 1:1(0) ack 4001 win 65535');
    expect(s.connection.info().slowStartThreshold).toBeLessThan(before);
  });

  it('that was not needed, as a D-SACK says, changes nothing', async () => {
    const s = await distant();
    s.write(3000);
    s.run(1);
    s.clear();
    expect(s.next(5000)[0]).toMatchObject({ seq: 2001 });
    s.inject('. 1:1(0) ack 3001 win 65535');
    s.run(99);
    s.inject('. 1:1(0) ack 3001 win 65535 <nop, nop, sack 2001:3001>');
    s.write(1000);
    s.run(100);
    s.inject('. 1:1(0) ack 4001 win 65535');
    expect(s.connection.info().slowStartThreshold).toBeGreaterThan(1_000_000);
  });
});

describe('a spurious timeout', () => {
  it('is undone when the ACK of the first transmission says so by its timestamp', async () => {
    const s = await accepted({ peer: '<mss 1000, sackOK, TS val 1000 ecr 0>', roundTrip: 100 });
    s.write(8000);
    s.run(1);
    const echo = s.lastTimestamp();
    s.clear();
    const before = s.connection.info().congestionWindow;
    s.runUntil(() => s.connection.info().recovery === 'loss', 10_000);
    expect(s.connection.info().congestionWindow).toBeLessThan(before);
    s.inject(`. 1:1(0) ack 8001 win 65535 <nop, nop, TS val 1100 ecr ${echo}>`);
    // RFC 4015, 4: what was acknowledged, at most the initial window.
    expect(s.connection.info().congestionWindow).toBeGreaterThanOrEqual(8000);
    expect(s.connection.info().slowStartThreshold).toBeGreaterThanOrEqual(before);
    expect(s.connection.info().recovery).toBe('open');
  });
});
