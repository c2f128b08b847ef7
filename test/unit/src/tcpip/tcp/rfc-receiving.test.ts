/** How data is received: order, delayed ACKs, urgent data, the receive window (RFC 9293, 3.7 and 3.8). */
import { afterEach, describe, expect, it } from 'vitest';
import { accepted, stopPeers } from '../../../../support/tcpip/rfc/peer.js';

afterEach(stopPeers);

describe('data', () => {
  it('with PSH or without reaches the application at once', async () => {
    const s = await accepted();
    s.inject('. 1:11(10) ack 1 win 65535');
    expect(s.events).toEqual(['open', 'data 1..10']);
    s.inject('P. 11:21(10) ack 1 win 65535');
    expect(s.events).toEqual(['open', 'data 1..10', 'data 11..20']);
  });

  it('in segments that overlap is delivered once, in order', async () => {
    const s = await accepted();
    s.inject('P. 21:41(20) ack 1 win 65535', 'P. 11:31(20) ack 1 win 65535', 'P. 1:21(20) ack 1 win 65535');
    s.inject('P. 31:51(20) ack 1 win 65535');
    expect(s.received()).toEqual({ from: 1, to: 50 });
  });

  it('keeps the bytes that came first where segments overlap with other contents', async () => {
    const s = await accepted();
    s.inject('P. 1:11(10) ack 1 win 65535');
    s.injectOther('P. 1:21(20) ack 1 win 65535');
    expect(s.bytes().subarray(0, 10)).toEqual(s.pattern(1, 10));
    expect(s.bytes().length).toBe(20);
  });

  it('that is repeated is acknowledged at once and not delivered again', async () => {
    const s = await accepted();
    s.inject('P. 1:11(10) ack 1 win 65535');
    s.expectAck(11);
    s.inject('P. 1:11(10) ack 1 win 65535');
    s.expect('. 1:1(0) ack 11');
    expect(s.events).toEqual(['open', 'data 1..10']);
  });

  it('with many gaps comes in order when they are filled from behind', async () => {
    const s = await accepted();
    for (let at = 31; at > 0; at -= 2) s.inject(`P. ${at}:${at + 1}(1) ack 1 win 65535`);
    for (let at = 32; at > 0; at -= 2) s.inject(`P. ${at}:${at + 1}(1) ack 1 win 65535`);
    for (let at = 1; at < 33; at++) s.inject(`P. ${at}:${at + 1}(1) ack 1 win 65535`);
    expect(s.received()).toEqual({ from: 1, to: 32 });
  });
});

describe('a delayed ACK', () => {
  // Clauses: SHLD-18, MUST-40
  it('comes alone after less than half a second', async () => {
    const s = await accepted();
    s.skipQuickAcks();
    const from = s.now;
    s.inject(`P. ${s.seq}:${s.seq + 10}(10) ack 1 win 65535`);
    const [ack] = s.next();
    expect(ack).toMatchObject({ flags: '.', ack: s.seq + 10, length: 0 });
    expect(s.now - from).toBeGreaterThan(0);
    expect(s.now - from).toBeLessThan(500);
  });

  // Clauses: SHLD-19
  it('comes with every second full-sized segment', async () => {
    const s = await accepted({ peer: '<mss 1460>' });
    s.skipQuickAcks();
    const at = s.seq;
    s.inject(`. ${at}:${at + 1460}(1460) ack 1 win 65535`);
    expect(s.take()).toEqual([]);
    s.inject(`. ${at + 1460}:${at + 2920}(1460) ack 1 win 65535`);
    expect(s.take().map(({ ack }) => ack)).toEqual([at + 2920]);
  });

  // Clauses: MUST-58, MUST-59
  it('is one for all segments of a burst', async () => {
    const s = await accepted();
    s.burst(...Array.from({ length: 8 }, (_, i) => `. ${i * 1000 + 1}:${i * 1000 + 1001}(1000) ack 1 win 65535`));
    expect(s.take().map(({ ack }) => ack)).toEqual([8001]);
  });

  it('travels with data that the application sends meanwhile', async () => {
    const s = await accepted();
    s.skipQuickAcks();
    s.inject(`P. ${s.seq}:${s.seq + 10}(10) ack 1 win 65535`);
    s.write(5);
    s.expect(`P. 1:6(5) ack ${s.seq + 10}`);
    s.inject(`. ${s.seq + 10}:${s.seq + 10}(0) ack 6 win 65535`);
    s.silence(1000);
  });

  it('comes at once for a segment that fills a gap', async () => {
    const s = await accepted();
    s.skipQuickAcks();
    const at = s.seq;
    s.inject(`P. ${at + 10}:${at + 20}(10) ack 1 win 65535`);
    s.expect(`. 1:1(0) ack ${at}`);
    s.inject(`P. ${at}:${at + 10}(10) ack 1 win 65535`);
    s.expect(`. 1:1(0) ack ${at + 20}`);
  });

  it('comes at once for a FIN', async () => {
    const s = await accepted();
    s.skipQuickAcks();
    s.inject(`FP. ${s.seq}:${s.seq + 10}(10) ack 1 win 65535`);
    s.expect(`. 1:1(0) ack ${s.seq + 11}`);
  });

  it('is not sent for an ACK: two ends do not answer each other for ever', async () => {
    const s = await accepted();
    for (let i = 0; i < 20; i++) s.inject('. 1:1(0) ack 1 win 65535');
    s.silence(2000);
  });
});

describe('the receive window', () => {
  // Clauses: MUST-39
  it('opens by a full segment at least when a slow application takes bytes', async () => {
    const s = await accepted({ receiveBuffer: 8000 });
    s.pause();
    for (let at = 1; at < 8001; at += 1000) s.inject(`. ${at}:${at + 1000}(1000) ack 1 win 65535`);
    s.run(1000);
    expect(s.all.at(-1)).toMatchObject({ ack: 8001, window: 0 });
    s.clear();
    s.resume();
    const [update] = s.take();
    expect(update).toMatchObject({ flags: '.', ack: 8001 });
    expect(update!.window).toBeGreaterThanOrEqual(1000);
  });

  // Clauses: SHLD-14, 7323-2.4b
  it('never shrinks: its right edge does not move back', async () => {
    const s = await accepted({ receiveBuffer: 8000 });
    s.pause();
    let edge = 0;
    for (let at = 1; at < 7801; at += 100) {
      s.inject(`P. ${at}:${at + 100}(100) ack 1 win 65535`);
      s.run(50);
      for (const { ack, window } of s.take()) {
        expect(ack + window).toBeGreaterThanOrEqual(edge);
        edge = ack + window;
      }
    }
    expect(edge).toBe(8001);
  });

  // Clauses: MAY-8
  it('may stay closed for an hour while the peer probes', async () => {
    const s = await accepted({ receiveBuffer: 4000 });
    s.pause();
    for (let at = 1; at < 4001; at += 1000) s.inject(`. ${at}:${at + 1000}(1000) ack 1 win 65535`);
    s.run(1000);
    s.clear();
    for (let minute = 0; minute < 60; minute++) {
      s.run(60_000);
      s.inject('. 4001:4002(1) ack 1 win 65535');
      s.expect('. 1:1(0) ack 4001 win 0');
    }
    s.resume();
    s.run(1);
    expect(s.received()).toEqual({ from: 1, to: 4000 });
    expect(s.take().at(-1)!.window).toBeGreaterThanOrEqual(1000);
  });

  it('takes all that it has offered, though the application reads nothing', async () => {
    const s = await accepted({ receiveBuffer: 20_000 });
    s.pause();
    for (let at = 1; at < 20_001; at += 1000) s.inject(`. ${at}:${at + 1000}(1000) ack 1 win 65535`);
    s.run(500);
    expect(s.all.at(-1)).toMatchObject({ ack: 20_001, window: 0 });
    s.resume();
    s.run(1);
    expect(s.received()).toEqual({ from: 1, to: 20_000 });
  });

  it('offers what the peer’s data has used again when the application reads', async () => {
    const s = await accepted({ receiveBuffer: 8000 });
    for (let at = 1; at < 80_001; at += 1000) s.inject(`. ${at}:${at + 1000}(1000) ack 1 win 65535`);
    s.run(500);
    expect(s.received()).toEqual({ from: 1, to: 80_000 });
    expect(s.all.every(({ ack, window }) => ack === 1 || window >= 4000)).toBe(true);
  });
});

describe('the receive buffer', () => {
  it('of 64 MiB is offered whole, although auto-tuning would not make one', async () => {
    const size = 64 * 2 ** 20;
    const s = await accepted({ peer: '<mss 1000, nop, wscale 7>', receiveBuffer: size });
    s.inject('P. 1:11(10) ack 1 win 512');
    expect(s.connection.info()).toMatchObject({ receiveScale: 11, receiveWindow: size });
  });

  it.each([1, 40, 80])('grows with what is read in a round trip, also after %i idle minutes', async (minutes) => {
    const s = await accepted({ peer: '<mss 1000, nop, wscale 7>', roundTrip: 20 });
    s.sleep(minutes * 60_000);
    for (let at = 1; at < 240_001; at += 60_000) {
      for (let seq = at; seq < at + 60_000; seq += 1000) s.inject(`. ${seq}:${seq + 1000}(1000) ack 1 win 512`);
      s.run(25);
    }
    expect(s.received()).toEqual({ from: 1, to: 240_000 });
    expect(s.connection.info().receiveWindow).toBeGreaterThan(200_000);
  });
});

describe('urgent data', () => {
  // Clauses: MUST-30, MUST-31
  it.each([1, 10, 999])('of %i bytes is delivered inline, in order', async (urgent) => {
    const s = await accepted();
    const end = urgent + 6;
    for (let at = 1; at < end; at += 500) {
      const to = Math.min(at + 500, end);
      s.inject(`PU. ${at}:${to}(${to - at}) ack 1 win 65535 urg ${urgent + 1 - at}`);
    }
    s.run(500);
    expect(s.received()).toEqual({ from: 1, to: end - 1 });
  });

  it.each([0, 1, 65535])('with a pointer of %i beyond the segment does no harm', async (pointer) => {
    const s = await accepted();
    s.inject(`PU. 1:11(10) ack 1 win 65535 urg ${pointer}`);
    s.inject('P. 11:21(10) ack 1 win 65535');
    s.run(500);
    expect(s.received()).toEqual({ from: 1, to: 20 });
  });

  it('without data does no harm', async () => {
    const s = await accepted();
    s.inject('U. 1:1(0) ack 1 win 65535 urg 100');
    s.inject('P. 1:11(10) ack 1 win 65535 urg 100');
    expect(s.events).toEqual(['open', 'data 1..10']);
  });
});
