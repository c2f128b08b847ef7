/** TCP options: well formed and malformed (RFC 9293, 3.1 and 3.2), MSS, window scale (RFC 7323, 2). */
import { afterEach, describe, expect, it } from 'vitest';
import { accepted, connecting, listening, stopPeers } from '../../../../support/tcpip/rfc/peer.js';

afterEach(stopPeers);

describe('options of a SYN', () => {
  // Clauses: MUST-6, MUST-64
  it.each([
    ['unknown ones before the MSS', 'raw fd06aabbccdd, mss 700'],
    ['MSS on an odd address', 'nop, mss 700, nop'],
    ['MSS behind an unknown one of odd length', 'raw fd03aa, mss 700, nop'],
    ['an unknown one without data', 'raw fd02, mss 700, nop, nop'],
    ['MSS twice: the last counts', 'mss 100, mss 700'],
    ['MSS before the end of the list, and garbage behind it', 'mss 700, eol, raw ffffff'],
    [
      'all forty bytes',
      'raw fd1000112233445566778899aabbccdd, raw fd1000112233445566778899aabbccdd, nop, nop, nop, nop, mss 700',
    ],
  ])('are read: %s', async (_, options) => {
    const s = await accepted({ peer: `<${options}>` });
    s.write(2000);
    expect(s.take()[0]).toMatchObject({ length: 700 });
  });

  // Clauses: MUST-7
  it.each([
    ['MSS of length 0', 'raw 02000000'],
    ['MSS of length 1', 'raw 02010000'],
    ['MSS of length 3', 'raw 020302'],
    ['MSS of length 5', 'raw 0205020000'],
    ['MSS that is cut off', 'raw 01010204'],
    ['an unknown one of length 0', 'raw fd00'],
    ['an unknown one of length 1', 'raw fd01'],
    ['an unknown one beyond the end', 'raw fdff0000'],
    ['a kind without a length as the last byte', 'raw 010101fd'],
    ['window scale of length 4', 'raw 03040700'],
    ['SACK-permitted of length 3', 'raw 04030000'],
    ['timestamps of length 8', 'raw 08080000000100'],
    ['SACK in a SYN', 'sack 1:2'],
    ['nothing but zeros', 'eol, eol, eol, eol'],
    ['nothing but no-operation', 'nop, nop, nop, nop'],
  ])('that are malformed do no harm: %s', async (_, options) => {
    const s = await accepted({ peer: `<${options}>` });
    expect(s.connection.info()).toMatchObject({ timestamps: false, sack: false, sendScale: 0 });
    s.write(2000);
    expect(s.take()[0]).toMatchObject({ length: 536 });
    s.inject('P. 1:11(10) ack 1 win 65535');
    expect(s.events.at(-1)).toBe('data 1..10');
  });
});

describe('options of other segments', () => {
  // Clauses: MUST-5
  it.each([
    ['unknown ones', 'raw fd06aabbccdd, nop, nop'],
    ['an MSS', 'mss 100'],
    ['a window scale', 'wscale 7, nop'],
    ['SACK-permitted', 'sackOK, nop, nop'],
    ['malformed ones', 'raw fd00ffff'],
    ['SACK that was not permitted', 'nop, nop, sack 1:2'],
    ['timestamps that were not negotiated', 'nop, nop, raw 080a0000000100000002'],
  ])('do not keep data from the application: %s', async (_, options) => {
    const s = await accepted();
    s.inject(`P. 1:11(10) ack 1 win 65535 <${options}>`);
    s.write(2000);
    expect(s.events).toEqual(['open', 'data 1..10']);
    // An MSS without SYN changes nothing.
    expect(s.take().some(({ length }) => length === 1000)).toBe(true);
    expect(s.connection.info()).toMatchObject({ timestamps: false, sack: false, sendScale: 0 });
  });

  // Clauses: 7323-3.2h
  it('that are timestamps are ignored if they were not negotiated, even old ones', async () => {
    const s = await accepted();
    s.inject('P. 1:11(10) ack 1 win 65535 <nop, nop, raw 080a7000000000000000>');
    s.inject('P. 11:21(10) ack 1 win 65535 <nop, nop, raw 080a1000000000000000>');
    expect(s.events).toEqual(['open', 'data 1..10', 'data 11..20']);
    s.run(500);
    expect(s.all.every(({ options }) => options === '')).toBe(true);
  });

  it.each(['raw 0500', 'raw 0501', 'raw 0502', 'raw 05030000', 'raw 050a00000001', 'raw 0509000000010000000200'])(
    'that are malformed SACKs do no harm: %s',
    async (options) => {
      const s = await accepted({ peer: '<mss 1000, sackOK>' });
      s.write(3000);
      s.run(10);
      s.inject(`. 1:1(0) ack 1 win 65535 <nop, nop, ${options}>`);
      s.inject('. 1:1(0) ack 3001 win 65535');
      expect(s.connection.buffered).toBe(0);
      expect(s.state).toBe('ESTABLISHED');
    },
  );
});

describe('window scaling', async () => {
  // Clauses: 7323-2.3c, 7323-2.3d
  it('shifts the peer’s windows by its own shift, those of SYNs not', async () => {
    const s = await accepted({ peer: '<mss 1000, nop, wscale 3>', window: 500, synWindow: 8000 });
    expect(s.connection.info()).toMatchObject({ sendScale: 3, sendWindow: 4000 });
    s.inject('. 1:1(0) ack 1 win 2');
    expect(s.connection.info().sendWindow).toBe(16);
    s.inject('. 1:1(0) ack 1 win 65535');
    expect(s.connection.info().sendWindow).toBe(65535 * 8);
  });

  it('does not shift the window of a SYN-ACK', async () => {
    const s = await connecting();
    s.expect('S 0:0(0) win 65535 <...>');
    s.write(5000);
    s.inject('S. 0:0(0) ack 1 win 1500 <mss 1000, nop, wscale 7>');
    s.run(10);
    const sent = s.take().reduce((sum, { length }) => sum + length, 0);
    expect(sent).toBeGreaterThanOrEqual(1000);
    expect(sent).toBeLessThanOrEqual(1500);
  });

  // Clauses: 7323-2.3b, 7323-2.3e, 7323-2.3f
  it('shifts our windows by the shift that we have sent, at most 14', async () => {
    const s = await accepted({ peer: '<mss 1000, nop, wscale 0>', receiveBuffer: 1_000_000 });
    const shift = s.ourScale;
    expect(shift).toBeGreaterThan(0);
    expect(shift).toBeLessThanOrEqual(14);
    s.inject('P. 1:11(10) ack 1 win 65535');
    s.run(500);
    const [ack] = s.take();
    const window = ack!.window * 2 ** shift;
    expect(window).toBeGreaterThan(900_000);
    expect(window).toBeLessThan(1_000_000 + 2 ** shift);
  });

  // Clauses: 7323-2.3g
  it.each([15, 200, 255])('takes a shift of %i for 14', async (shift) => {
    const s = await accepted({ peer: `<mss 1000, nop, wscale ${shift}>`, window: 1 });
    expect(s.connection.info()).toMatchObject({ sendScale: 14, sendWindow: 16384 });
  });

  it('is off in both directions if the peer’s SYN lacks the option', async () => {
    const s = await accepted({ receiveBuffer: 1_000_000, window: 1000 });
    expect(s.connection.info()).toMatchObject({ sendScale: 0, receiveScale: 0, sendWindow: 1000 });
    s.inject('P. 1:11(10) ack 1 win 1000');
    s.run(500);
    expect(s.take()[0]!.window).toBeGreaterThan(60_000);
  });

  // Clauses: 7323-2.2b
  it('takes no shift from a segment without SYN', async () => {
    const s = await accepted({ peer: '<mss 1000, nop, wscale 2>' });
    s.inject('. 1:1(0) ack 1 win 100 <wscale 9, nop>');
    expect(s.connection.info()).toMatchObject({ sendScale: 2, sendWindow: 400 });
  });

  it('closes the window of an application that has paused, though segments are small', async () => {
    const s = await accepted({ peer: '<mss 1000, nop, wscale 0>', receiveBuffer: 5000 });
    const unit = 2 ** s.ourScale;
    s.pause();
    let at = 1;
    for (; at < 10_000; at += 10) s.inject(`P. ${at}:${at + 10}(10) ack 1 win 65535`);
    s.run(500);
    const last = s.take().at(-1)!;
    expect(last.window).toBe(0);
    expect(last.ack).toBeLessThanOrEqual(5001 + unit);
  });

  // Clauses: 7323-2.4c
  it('keeps the right edge when the window is no multiple of the unit', async () => {
    const s = await accepted({ peer: '<mss 1000, nop, wscale 0>', receiveBuffer: 1_000_000 });
    const unit = 2 ** s.ourScale;
    s.pause();
    let edge = 0;
    for (let at = 1; at < 5000; at += 37) {
      s.inject(`P. ${at}:${at + 37}(37) ack 1 win 65535`);
      s.run(50);
      for (const { ack, window } of s.take()) {
        expect(ack + window * unit).toBeGreaterThan(edge - unit);
        edge = Math.max(edge, ack + window * unit);
      }
    }
    // Rounded up, but not once more with each segment.
    expect(edge).toBeLessThan(1_000_001 + unit);
  });
});

describe('the MSS option', () => {
  it('is in SYN-ACKs of a peer that sent none', async () => {
    const s = await listening();
    s.inject('S 0:0(0) win 65535');
    s.expect('S. 0:0(0) ack 1 <mss 1460>');
  });
});
