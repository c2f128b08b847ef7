/** SACK blocks that are sent (RFC 2018, D-SACK: RFC 2883), and what the sender does with those that come. */
import { afterEach, describe, expect, it } from 'vitest';
import { accepted, type Peer, stopPeers } from '../../../../support/tcpip/rfc/peer.js';

afterEach(stopPeers);

const sacked = (options: Parameters<typeof accepted>[0] = {}): Promise<Peer> =>
  accepted({ peer: '<mss 1000, sackOK>', ...options });
const stamped = (): Promise<Peer> => accepted({ peer: '<mss 1000, sackOK, TS val 1000 ecr 0>' });
const blocks = (segment: { readonly options: string } | undefined): string =>
  /sack ([^,>]*)/.exec(segment?.options ?? '')?.[1] ?? '';

/** Sends ten bytes, and returns the SACK blocks of the answer. */
function send(s: Peer, first: number, last = first + 10): string {
  s.inject(`P. ${first}:${last}(${last - first}) ack 1 win 65535`);
  s.run(500);
  return blocks(s.take().at(-1));
}

describe('SACK blocks', () => {
  // Clauses: 2018-4a
  it('are not sent to a peer that did not permit them', async () => {
    const s = await accepted();
    s.inject('P. 11:21(10) ack 1 win 65535', 'P. 31:41(10) ack 1 win 65535');
    expect(s.take().map(({ options }) => options)).toEqual(['', '']);
  });

  // Clauses: 2018-4b, 2018-4c, 2018-4d, 2018-4f
  it('name the newest block first, then those that were reported last', async () => {
    const s = await sacked();
    expect(send(s, 11)).toBe('11:21');
    expect(send(s, 31)).toBe('31:41 11:21');
    expect(send(s, 51)).toBe('51:61 31:41 11:21');
    expect(send(s, 21)).toBe('11:41 51:61');
    expect(send(s, 71)).toBe('71:81 11:41 51:61');
  });

  // Clauses: 2018-4e
  it('are four at most, three with timestamps', async () => {
    const s = await sacked();
    for (let i = 0; i < 4; i++) send(s, 11 + 20 * i);
    expect(send(s, 91)).toBe('91:101 71:81 51:61 31:41');
    const t = await stamped();
    for (let i = 0; i < 5; i++) t.inject(t.stamp(`P. ${11 + 20 * i}:${21 + 20 * i}(10) ack 1 win 65535`));
    t.run(500);
    expect(blocks(t.take().at(-1))).toBe('91:101 71:81 51:61');
  });

  it('grow with the segment that touches them', async () => {
    const s = await sacked();
    send(s, 11);
    expect(send(s, 21)).toBe('11:31');
    expect(send(s, 5, 11)).toBe('5:31');
    expect(send(s, 31, 32)).toBe('5:32');
  });

  it('vanish when the gap is filled', async () => {
    const s = await sacked();
    send(s, 11);
    send(s, 31);
    expect(send(s, 1)).toBe('31:41');
    expect(send(s, 21)).toBe('');
    expect(s.received()).toEqual({ from: 1, to: 40 });
  });

  it('are in data segments, too', async () => {
    const s = await sacked();
    send(s, 11);
    s.write(10);
    expect(s.take()[0]).toMatchObject({ length: 10, options: expect.stringMatching(/sack 11:21/) });
  });

  it('leave room for the data: a segment with SACK is no larger than the path allows', async () => {
    const s = await accepted({ peer: '<mss 1460, sackOK>' });
    for (let i = 0; i < 4; i++) send(s, 11 + 20 * i);
    s.write(5000);
    for (const { length, options } of s.take()) {
      expect(length + (options === '' ? 0 : 36)).toBeLessThanOrEqual(1460);
    }
  });

  // Clauses: 2018-8b
  it('report only what is kept when there are more gaps than there is memory for', async () => {
    const s = await sacked({ memory: 65_536 });
    const reported = new Set<number>();
    const inject = (at: number): void => {
      s.inject(`P. ${at}:${at + 1}(1) ack 1 win 65535`);
      for (const segment of s.take()) {
        for (const [, start] of blocks(segment).matchAll(/(\d+):/g)) reported.add(Number(start));
      }
    };
    // The farthest first: half of the memory is for the bytes, and the rest for the places of some 1000 gaps.
    inject(20_001);
    const end = 2303;
    for (let at = 3; at < end; at += 2) inject(at);
    expect(s.report().tcp_intervals_full).toBeGreaterThan(50);
    expect(reported.size).toBeGreaterThan(500);
    // What was reported need not be sent again: all else comes, byte by byte.
    for (let at = 1; at < end; at++) if (!reported.has(at)) s.inject(`P. ${at}:${at + 1}(1) ack 1 win 65535`);
    s.run(500);
    expect(s.received()).toEqual({ from: 1, to: end - 1 });
  });
});

describe('D-SACK blocks', () => {
  it('report a segment that came twice, below the ACK', async () => {
    const s = await sacked();
    s.inject('P. 1:11(10) ack 1 win 65535');
    s.run(500);
    s.clear();
    expect(send(s, 1)).toBe('1:11');
    expect(send(s, 11)).toBe('');
  });

  it('report a segment that came twice above the ACK, before its block', async () => {
    const s = await sacked();
    send(s, 11, 31);
    expect(send(s, 11)).toBe('11:21 11:31');
  });

  it('report the part that came twice', async () => {
    const s = await sacked();
    s.inject('P. 1:21(20) ack 1 win 65535');
    s.run(500);
    s.clear();
    s.inject('P. 11:31(20) ack 1 win 65535');
    s.run(500);
    const [ack] = s.take();
    expect(ack).toMatchObject({ ack: 31 });
    expect(['11:21', '']).toContain(blocks(ack));
  });

  it('are reported once', async () => {
    const s = await sacked();
    s.inject('P. 1:11(10) ack 1 win 65535');
    s.run(500);
    s.clear();
    expect(send(s, 1)).toBe('1:11');
    s.inject('. 0:0(0) ack 1 win 65535');
    expect(blocks(s.take()[0])).toBe('');
  });
});

describe('SACK blocks that come', () => {
  // Clauses: 2018-5a, 8985-4a, 2018-8c
  it('spare what was received the second transmission', async () => {
    const s = await sacked();
    s.write(5000);
    s.run(20);
    s.clear();
    s.inject('. 1:1(0) ack 1 win 65535 <nop, nop, sack 1001:5001>');
    s.run(300);
    const again = s.take();
    expect(again.length).toBeGreaterThan(0);
    expect(again.every(({ seq }) => seq === 1)).toBe(true);
    // The bytes that were SACKed are kept until the cumulative ACK.
    expect(s.connection.buffered).toBe(5000);
    s.inject('. 1:1(0) ack 5001 win 65535');
    expect(s.connection.buffered).toBe(0);
    s.silence(5000);
  });

  // Clauses: 2018-5c
  it('are forgotten after a timeout: a peer that has dropped the data gets it again', async () => {
    const s = await sacked();
    s.write(3000);
    s.run(20);
    s.inject('. 1:1(0) ack 1 win 65535 <nop, nop, sack 1001:3001>');
    // The peer reneges: from now on it acknowledges without SACK.
    s.runUntil(() => s.peek().filter(({ seq, length }) => seq === 1 && length === 1000).length > 2, 20_000);
    s.inject('. 1:1(0) ack 1001 win 65535');
    s.runUntil(() => s.peek().some(({ seq, again }) => seq === 1001 && again), 20_000);
    s.inject('. 1:1(0) ack 2001 win 65535');
    s.runUntil(() => s.peek().some(({ seq, again }) => seq === 2001 && again), 60_000);
    s.inject('. 1:1(0) ack 3001 win 65535');
    expect(s.connection.buffered).toBe(0);
  });

  it.each(['5001:6001', '-999:1', '2001:1001', '1001:1001', '1:9999999', '-2147483000:1001'])(
    'are ignored if they name what is not in flight: %s',
    async (block) => {
      const s = await sacked();
      s.write(3000);
      s.run(20);
      s.clear();
      for (let i = 0; i < 3; i++) s.inject(`. 1:1(0) ack 1 win 65535 <nop, nop, sack ${block}>`);
      s.inject('. 1:1(0) ack 3001 win 65535');
      expect(s.connection.buffered).toBe(0);
      expect(s.state).toBe('ESTABLISHED');
    },
  );
});
