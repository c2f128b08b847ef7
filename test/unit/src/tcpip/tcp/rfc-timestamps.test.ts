/** Timestamps and PAWS: RFC 7323, 3 to 5. */
import { afterEach, describe, expect, it } from 'vitest';
import { accepted, listening, type Peer, stopPeers } from '../../../../support/tcpip/rfc/peer.js';

afterEach(stopPeers);

const DAY = 24 * 3_600_000;
/** The peer's timestamps begin with 1000. */
const stamped = (options: Parameters<typeof accepted>[0] = {}): Promise<Peer> =>
  accepted({ peer: '<mss 1000, sackOK, TS val 1000 ecr 0>', ...options });
const ts = (val: number): string => `<nop, nop, TS val ${val} ecr last>`;
const echoOf = (segment: { readonly options: string } | undefined): number =>
  Number(/ ecr (-?\d+)/.exec(segment?.options ?? '')?.[1]);

describe('the timestamps option', () => {
  // Clauses: 7323-3.2b, 7323-3.2d
  it('is in every segment, and echoes the peer’s', async () => {
    const s = await stamped();
    s.inject(`P. 1:11(10) ack 1 win 65535 ${ts(1001)}`);
    s.write(3000);
    s.inject(`. 11:11(0) ack 1001 win 65535 ${ts(1002)}`);
    s.end();
    s.run(5000);
    expect(s.all.length).toBeGreaterThan(4);
    expect(s.all.filter(({ options }) => !/TS val \d+ ecr 100[012]/.test(options))).toEqual([]);
  });

  // Clauses: 7323-3.2c
  it('has no valid echo without ACK: a SYN’s is ignored', async () => {
    const s = await listening();
    s.inject('S 0:0(0) win 65535 <mss 1000, TS val 1000 ecr 123456>');
    s.expect('S. 0:0(0) ack 1 <mss 1460, TS val any ecr 1000>');
  });

  // Clauses: 7323-4.1a, 7323-5.4a, 7323-5.4b, 7323-5.4c
  it('counts milliseconds', async () => {
    const s = await stamped();
    const stamp = (): number => {
      s.inject(`. 0:0(0) ack 1 win 65535 ${ts(1001)}`);
      return Number(/TS val (-?\d+)/.exec(s.take()[0]!.options)![1]);
    };
    const first = stamp();
    s.run(10_000);
    const second = stamp();
    expect(second - first).toBeGreaterThanOrEqual(9_999);
    expect(second - first).toBeLessThanOrEqual(10_001);
  });

  // Clauses: 7323-3.2g
  it('that is missing aborts nothing', async () => {
    const s = await stamped();
    s.inject('P. 1:11(10) ack 1 win 65535');
    s.run(1000);
    s.inject(`P. 1:11(10) ack 1 win 65535 ${ts(1001)}`, `P. 11:21(10) ack 1 win 65535 ${ts(1001)}`);
    expect(s.received()).toEqual({ from: 1, to: 20 });
    expect(s.state).toBe('ESTABLISHED');
  });

  // Clauses: 7323-5.2d, 7323-3.2e
  it('is in the RST of an abort', async () => {
    const s = await stamped();
    s.abort();
    expect(s.take()[0]).toMatchObject({ options: expect.stringMatching(/TS val/) });
  });

  it('of two connections has different offsets', async () => {
    const s = await listening();
    const values = [1, 2, 3, 4].map((i) => {
      s.from(5000 + i);
      s.inject('S 0:0(0) win 65535 <mss 1000, TS val 1000 ecr 0>');
      return s.rawTimestamp;
    });
    expect(new Set(values).size).toBe(4);
  });
});

describe('the timestamp that is echoed', () => {
  // Clauses: 7323-4.3a
  it('is the earliest that a delayed ACK covers', async () => {
    const s = await stamped();
    s.skipQuickAcks(1001);
    const at = s.seq;
    s.inject(`P. ${at}:${at + 10}(10) ack 1 win 65535 ${ts(2000)}`);
    s.inject(`P. ${at + 10}:${at + 20}(10) ack 1 win 65535 ${ts(2005)}`);
    s.inject(`P. ${at + 20}:${at + 30}(10) ack 1 win 65535 ${ts(2010)}`);
    s.run(500);
    const [ack] = s.take();
    expect(ack).toMatchObject({ ack: at + 30 });
    expect(echoOf(ack)).toBe(2000);
  });

  // Clauses: 7323-4.3b, 7323-4.3c
  it('follows the example of RFC 7323, 4.3, with gaps', async () => {
    const s = await stamped();
    const send = (first: number, val: number): number => {
      s.inject(`P. ${first}:${first + 10}(10) ack 1 win 65535 ${ts(val)}`);
      s.run(500);
      return echoOf(s.take().at(-1));
    };
    expect(send(1, 1001)).toBe(1001);
    expect(send(21, 1003)).toBe(1001);
    expect(send(11, 1002)).toBe(1002);
    expect(send(41, 1005)).toBe(1002);
    expect(send(31, 1004)).toBe(1004);
  });

  it('is not taken from a segment beyond Last.ACK.sent', async () => {
    const s = await stamped();
    s.inject(`P. 101:111(10) ack 1 win 65535 ${ts(9000)}`);
    expect(echoOf(s.take()[0])).toBe(1001);
  });

  // Clauses: 7323-5.2a
  it('never goes back', async () => {
    const s = await stamped();
    s.inject(`P. 1:11(10) ack 1 win 65535 ${ts(2000)}`);
    s.run(500);
    s.clear();
    s.inject(`. 0:0(0) ack 1 win 65535 ${ts(1500)}`);
    expect(echoOf(s.take()[0])).toBe(2000);
  });

  it('is still compared after it has passed 2^32', async () => {
    const s = await accepted({ peer: '<mss 1000, TS val -5 ecr 0>' });
    s.inject(`P. 1:11(10) ack 1 win 65535 <nop, nop, TS val 5 ecr last>`);
    s.inject(`P. 11:21(10) ack 1 win 65535 <nop, nop, TS val -1 ecr last>`);
    expect(s.events).toEqual(['open', 'data 1..10']);
    s.inject(`P. 11:21(10) ack 1 win 65535 <nop, nop, TS val 6 ecr last>`);
    expect(s.received()).toEqual({ from: 1, to: 20 });
  });
});

describe('PAWS', () => {
  // Clauses: 7323-5.3a
  it('answers an older segment in the window with an ACK, and drops it', async () => {
    const s = await stamped();
    s.inject(`P. 1:11(10) ack 1 win 65535 ${ts(2000)}`);
    s.run(500);
    s.clear();
    s.inject(`P. 11:21(10) ack 1 win 65535 ${ts(1999)}`);
    s.expect('. 1:1(0) ack 11');
    expect(s.events).toEqual(['open', 'data 1..10']);
    expect(s.report().tcp_paws_drops).toBe(1);
  });

  // Clauses: 7323-5.3b
  it('comes before the sequence number: outside of the window it counts, too', async () => {
    const s = await stamped();
    s.inject(`P. 1000001:1000011(10) ack 1 win 65535 ${ts(999)}`);
    s.expect('. 1:1(0) ack 1');
    expect(s.report()).toMatchObject({ tcp_paws_drops: 1, tcp_out_of_window: 0 });
  });

  it('lets a FIN pass only if it is no older', async () => {
    const s = await stamped();
    s.inject(`P. 1:11(10) ack 1 win 65535 ${ts(2000)}`, `F. 11:11(0) ack 1 win 65535 ${ts(1999)}`);
    expect(s.state).toBe('ESTABLISHED');
    s.inject(`F. 11:11(0) ack 1 win 65535 ${ts(2000)}`);
    expect(s.state).toBe('CLOSE-WAIT');
  });

  // Clauses: 7323-5.2e
  it('does not keep a RST out, however old its timestamp', async () => {
    const s = await stamped();
    s.inject(`R 1:1(0) win 0 <nop, nop, TS val -100000 ecr 0>`);
    expect(s.events).toEqual(['open', 'close ECONNRESET']);
  });

  // Clauses: 7323-5.2f
  it('is not misled by a RST with a later timestamp, before or in the window', async () => {
    const s = await stamped();
    for (const seq of [0, 11]) s.inject(`R ${seq}:${seq}(0) win 0 <nop, nop, TS val 9000 ecr 0>`);
    s.clear();
    s.inject(`P. 1:11(10) ack 1 win 65535 ${ts(1002)}`);
    expect(echoOf(s.take().at(-1))).toBe(1002);
    expect(s.events).toEqual(['open', 'data 1..10']);
  });

  // Clauses: 7323-5.3c
  it('does not check what was kept out of order a second time', async () => {
    const s = await stamped();
    s.inject(`P. 11:21(10) ack 1 win 65535 ${ts(1001)}`, `P. 1:11(10) ack 1 win 65535 ${ts(1500)}`);
    expect(s.received()).toEqual({ from: 1, to: 20 });
  });

  // Clauses: 7323-5.5a
  it('forgets its timestamp after 24 idle days', async () => {
    const s = await stamped();
    s.inject(`P. 1:11(10) ack 1 win 65535 ${ts(2000)}`);
    s.run(500);
    for (let days = 0; days < 25; days++) s.sleep(DAY);
    s.inject(`P. 11:21(10) ack 1 win 65535 <nop, nop, TS val 1000 ecr last>`);
    expect(s.received()).toEqual({ from: 1, to: 20 });
  });
});
