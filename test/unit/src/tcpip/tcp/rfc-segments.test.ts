/** Which segments a synchronized connection accepts: RFC 9293, 3.10.7.4, with the mitigations of RFC 5961. */
import { afterEach, describe, expect, it } from 'vitest';
import { accepted, type Peer, stopPeers } from '../../../../support/tcpip/rfc/peer.js';

afterEach(stopPeers);

/** A connection that offers a window of 4000 bytes: sequence numbers 1 to 4000. */
const small = (): Promise<Peer> => accepted({ receiveBuffer: 4000 });
/** The same with its window closed: the application has paused, and the peer has sent 4000 bytes. */
async function closedWindow(): Promise<Peer> {
  const s = await small();
  s.pause();
  for (let at = 1; at < 4001; at += 1000) s.inject(`P. ${at}:${at + 1000}(1000) ack 1 win 65535`);
  s.run(500);
  s.clear();
  return s;
}

describe('the sequence number', () => {
  it.each([
    ['. 1:1(0) ack 1', 'an empty segment at RCV.NXT'],
    ['. 4000:4000(0) ack 1', 'an empty segment in the last place of the window'],
    // Behind the window: from there a peer that has filled it sends its ACKs.
    ['. 4001:4001(0) ack 1', 'an empty segment at the right edge'],
  ])('of %s is accepted without an answer: %s', async (segment) => {
    const s = await small();
    s.inject(`${segment} win 65535`);
    s.silence(500);
  });

  it.each([
    ['. 0:0(0)', 'an empty segment before the window'],
    ['. 4002:4002(0)', 'an empty segment after the window'],
    ['P. 4001:4011(10)', 'data after the window'],
    ['P. -9:1(10)', 'data before the window'],
    ['P. -1000:-990(10)', 'old data'],
    ['F. 4001:4001(0)', 'a FIN after the window'],
    ['. 1000000:1000000(0)', 'an empty segment far after the window'],
    ['P. -2147483640:-2147483630(10)', 'data half of the space before'],
  ])('of %s is answered by an ACK: %s', async (segment) => {
    const s = await small();
    s.inject(`${segment} ack 1 win 65535`);
    s.expect('. 1:1(0) ack 1 win 4000');
    s.silence(500);
    expect(s.events).toEqual(['open']);
  });

  it('in the window cuts off what lies before', async () => {
    const s = await small();
    s.inject('P. -4:11(15) ack 1 win 65535');
    s.expectAck(11);
    expect(s.events).toEqual(['open', 'data 1..10']);
  });

  it('in the window cuts off what lies behind, a FIN included', async () => {
    const s = await small();
    s.pause();
    for (const at of [1, 1001, 2001]) s.inject(`P. ${at}:${at + 1000}(1000) ack 1 win 65535`);
    s.run(500);
    s.clear();
    s.inject('FP. 3001:4101(1100) ack 1 win 65535');
    s.expect('. 1:1(0) ack 4001 win 0');
    expect(s.state).toBe('ESTABLISHED');
    s.resume();
    expect(s.received()).toEqual({ from: 1, to: 4000 });
    s.clear();
    s.inject('FP. 4001:4101(100) ack 1 win 65535');
    expect(s.received()).toEqual({ from: 1, to: 4100 });
    expect(s.state).toBe('CLOSE-WAIT');
  });

  // Clauses: SHLD-31, MAY-13
  it('beyond a gap is kept, and acknowledged at once', async () => {
    const s = await small();
    s.inject('P. 11:21(10) ack 1 win 65535');
    s.expect('. 1:1(0) ack 1');
    s.inject('P. 1:11(10) ack 1 win 65535');
    s.expect('. 1:1(0) ack 21');
    expect(s.events).toEqual(['open', 'data 1..10', 'data 11..20']);
  });

  it('beyond a gap holds a FIN back until the gap is filled', async () => {
    const s = await small();
    s.inject('FP. 11:21(10) ack 1 win 65535');
    s.expect('. 1:1(0) ack 1');
    expect(s.state).toBe('ESTABLISHED');
    s.inject('P. 1:11(10) ack 1 win 65535');
    s.expect('. 1:1(0) ack 22');
    expect(s.events).toEqual(['open', 'data 1..10', 'data 11..20', 'end']);
    expect(s.state).toBe('CLOSE-WAIT');
  });

  it('passes 2^32 and 2^31 unharmed', async () => {
    for (const irs of [-3, 0x7fffffff - 3]) {
      const s = await accepted({ irs });
      s.inject('P. 1:11(10) ack 1 win 65535', 'P. 11:21(10) ack 1 win 65535');
      s.expectSome('. 1:1(0) ack 21');
      expect(s.events.at(-1)).toBe('data 11..20');
    }
  });
});

describe('a closed window', () => {
  it.each([
    ['. 4001:4001(0) ack 1', true],
    ['. 4002:4002(0) ack 1', false],
    ['P. 4001:4011(10) ack 1', false],
    ['P. 3991:4001(10) ack 1', false],
  ])('accepts of %s the sequence number: %s', async (segment, isAcceptable) => {
    const s = await closedWindow();
    s.inject(`${segment} win 65535`);
    if (!isAcceptable) s.expect('. 1:1(0) ack 4001 win 0');
    s.silence(500);
    expect(s.state).toBe('ESTABLISHED');
  });

  // Clauses: MUST-66
  it('lets a RST at RCV.NXT pass, and ACKs', async () => {
    const s = await closedWindow();
    s.write(100);
    s.expect('P. 1:101(100) ack 4001 win 0');
    s.inject('. 4001:4001(0) ack 101 win 65535');
    s.silence(3000);
    s.inject('R 4001:4001(0) win 0');
    expect(s.events.at(-1)).toBe('close ECONNRESET');
  });

  // Clauses: MUST-66
  it('lets the URG of an empty segment pass, and answers urgent data with an ACK', async () => {
    const s = await closedWindow();
    s.inject('U. 4001:4001(0) ack 1 win 65535 urg 1');
    s.silence(500);
    s.inject('PU. 4001:4002(1) ack 1 win 65535 urg 1');
    s.expect('. 1:1(0) ack 4001 win 0');
    s.resume();
    s.run(500);
    s.inject('PU. 4001:4002(1) ack 1 win 65535 urg 1');
    expect(s.received()).toEqual({ from: 1, to: 4001 });
  });

  it('uses the ACK of a segment whose data does not fit', async () => {
    const s = await closedWindow();
    s.write(100);
    s.expect('P. 1:101(100) ack 4001 win 0');
    s.inject('P. 4001:4011(10) ack 101 win 65535');
    s.expect('. 101:101(0) ack 4001 win 0');
    s.inject('. 4001:4001(0) ack 101 win 65535');
    s.silence(3000);
  });
});

describe('a RST', () => {
  // Clauses: 5961-3.2b, MUST-12
  it.each(['R 1:1(0) win 0', 'R. 1:1(0) ack 1 win 0', 'R. 1:1(0) ack 99999 win 0'])(
    'resets at RCV.NXT: %s',
    async (segment) => {
      const s = await small();
      s.inject(segment);
      s.silence(1000);
      expect(s.events).toEqual(['open', 'close ECONNRESET']);
      expect(s.connections).toBe(0);
    },
  );

  // Clauses: SHLD-2
  it('may carry data', async () => {
    const s = await small();
    s.inject('R. 1:21(20) ack 1 win 0');
    s.silence(1000);
    expect(s.events).toEqual(['open', 'close ECONNRESET']);
  });

  // Clauses: 5961-3.2c, 5961-3.2d, 5961-1.1a
  it.each([2, 2000, 4000])('at %i, elsewhere in the window, is answered by a challenge ACK', async (seq) => {
    const s = await small();
    s.inject(`R ${seq}:${seq}(0) win 0`);
    s.expect('. 1:1(0) ack 1 win 4000');
    s.silence(1000);
    expect(s.events).toEqual(['open']);
  });

  // Clauses: 5961-3.2a
  it.each([0, -1, -100000, 4001, 4002, 100000])('at %i, outside the window, is dropped silently', async (seq) => {
    const s = await small();
    s.inject(`R ${seq}:${seq}(0) win 0`);
    s.silence(1000);
    expect(s.events).toEqual(['open']);
  });

  it('that was sent as the answer to a challenge ACK resets', async () => {
    const s = await small();
    s.inject('R 2000:2000(0) win 0');
    const [challenge] = s.expect('. 1:1(0) ack 1');
    s.inject(`R ${challenge!.ack}:${challenge!.ack}(0) win 0`);
    expect(s.events).toEqual(['open', 'close ECONNRESET']);
  });

  it('behind data that came before it resets', async () => {
    const s = await small();
    s.inject('P. 1:11(10) ack 1 win 65535', 'R. 11:11(0) ack 1 win 0');
    expect(s.events).toEqual(['open', 'data 1..10', 'close ECONNRESET']);
  });
});

describe('a SYN', () => {
  // Clauses: 5961-4.2a
  it.each([0, 1, 2000, 4001, 100000, -100000])('at %i is answered by a challenge ACK and dropped', async (seq) => {
    const s = await small();
    s.inject(`S ${seq}:${seq}(0) win 1000 <mss 1000>`);
    s.expect('. 1:1(0) ack 1 win 4000');
    s.silence(1000);
    expect(s.events).toEqual(['open']);
  });

  it('with an ACK is answered by a challenge ACK as well', async () => {
    const s = await small();
    s.inject('S. 1:1(0) ack 1 win 1000');
    s.expect('. 1:1(0) ack 1 win 4000');
    expect(s.state).toBe('ESTABLISHED');
  });

  // Clauses: 5961-4.2b
  it('of a peer that has restarted ends the old connection by its RST', async () => {
    const s = await small();
    s.inject('S 5000:5000(0) win 1000 <mss 1000>');
    const [challenge] = s.expect('. 1:1(0) ack 1');
    s.inject(`R ${challenge!.ack}:${challenge!.ack}(0) win 0`);
    expect(s.events).toEqual(['open', 'close ECONNRESET']);
    s.restart(5000);
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <...>');
  });
});

describe('challenge ACKs', () => {
  // Clauses: 5961-7a
  it('are limited', async () => {
    const s = await small();
    const counts = Array.from({ length: 3 }, () => {
      for (let i = 0; i < 800; i++) s.inject('S 2000:2000(0) win 1000', 'R 2000:2000(0) win 0');
      s.run(2000);
      return s.take().length;
    });
    // Not the same number each time: it would tell an attacker how many others have caused (CVE-2016-5696).
    expect(new Set(counts).size).toBeGreaterThan(1);
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(500);
    expect(Math.max(...counts)).toBeLessThan(1500);
    s.clear();
    s.inject('S 2000:2000(0) win 1000');
    s.expect('. 1:1(0) ack 1');
    expect(s.state).toBe('ESTABLISHED');
  });
});

describe('the acknowledgement', () => {
  it('is needed: a segment without ACK is dropped', async () => {
    const s = await small();
    s.inject('P 1:11(10) win 65535', 'F 1:1(0) win 65535', '0 1:1(0) win 65535', 'U 1:11(10) win 65535 urg 5');
    s.silence(1000);
    expect(s.events).toEqual(['open']);
  });

  // Clauses: MAY-12, 5961-5.2a, 5961-5.2b
  it.each([2, 1000, 0x7fffffff, -100_000])('of %i, which is neither sent nor recent, drops the data', async (ack) => {
    const s = await small();
    s.inject(`P. 1:11(10) ack ${ack} win 65535`);
    s.expect('. 1:1(0) ack 1 win 4000');
    s.silence(1000);
    expect(s.events).toEqual(['open']);
  });

  it('that is old, but not older than a window, lets the data pass', async () => {
    const s = await small();
    s.write(500);
    s.expect('P. 1:501(500) ack 1');
    s.inject('. 1:1(0) ack 501 win 65535');
    s.inject('P. 1:11(10) ack 1 win 65535');
    s.expectAck(11);
    expect(s.events).toEqual(['open', 'data 1..10']);
  });

  it('takes the window from the newest segment only', async () => {
    const s = await small();
    s.inject('P. 1:11(10) ack 1 win 500');
    s.inject('P. 11:21(10) ack 1 win 600');
    // Older in sequence, though it arrives later.
    s.inject('. 1:1(0) ack 1 win 50');
    s.run(500);
    expect(s.connection.info().sendWindow).toBe(600);
  });

  it('that repeats what is known changes nothing, however often it comes', async () => {
    const s = await small();
    s.write(500);
    s.expect('P. 1:501(500) ack 1');
    for (let i = 0; i < 100; i++) s.inject('. 1:1(0) ack 1 win 65535');
    s.run(100);
    // One segment is in flight: there is nothing that could be lost before it.
    expect(s.take().filter(({ again }) => again).length).toBeLessThanOrEqual(1);
    expect(s.state).toBe('ESTABLISHED');
  });

  it('of each byte of a segment (ACK division) opens the window no faster', async () => {
    const s = await accepted();
    s.write(100_000);
    s.run(10);
    s.clear();
    const before = s.connection.info().congestionWindow;
    for (let ack = 2; ack <= 1001; ack += 9) s.inject(`. 1:1(0) ack ${ack} win 65535`);
    // RFC 3465, 2.3: what counts is bytes, not ACKs.
    expect(s.connection.info().congestionWindow).toBeLessThanOrEqual(before + 1000);
  });

  it('of the second half of a segment leaves the rest outstanding', async () => {
    const s = await small();
    s.write(500);
    s.expect('P. 1:501(500) ack 1');
    s.inject('. 1:1(0) ack 251 win 65535');
    expect(s.connection.buffered).toBe(250);
    s.inject('. 1:1(0) ack 501 win 65535');
    s.silence(5000);
    expect(s.connection.buffered).toBe(0);
  });
});

describe('bits and fields', () => {
  // Clauses: MUST-3
  it('a wrong checksum drops the segment silently', async () => {
    const s = await small();
    s.inject('P. 1:11(10) ack 1 win 65535 badsum');
    s.silence(1000);
    expect(s.events).toEqual(['open']);
    expect(s.report().tcp_bad_checksum).toBe(1);
  });

  // Clauses: MUST-2
  it('our segments have right checksums', async () => {
    const s = await small();
    for (let length = 1; length < 70; length++) s.write(length);
    s.run(200);
    const sent = s.take();
    // The script fails on a wrong checksum.
    expect(sent.length).toBeGreaterThan(0);
  });

  it('reserved bits and ECN bits that were not negotiated are ignored', async () => {
    const s = await small();
    s.injectBits('P. 1:11(10) ack 1 win 65535', 0x0ec0);
    s.expectAck(11);
    expect(s.events).toEqual(['open', 'data 1..10']);
  });

  it.each([0, 1, 4])('a data offset of %i drops the segment', async (words) => {
    const s = await small();
    s.inject(`P. 1:11(10) ack 1 win 65535 doff ${words}`);
    s.silence(1000);
    expect(s.events).toEqual(['open']);
    expect(s.report().tcp_bad_length).toBe(1);
  });

  it('a data offset beyond the end drops the segment', async () => {
    const s = await small();
    s.inject('. 1:1(0) ack 1 win 65535 doff 15');
    s.silence(1000);
    expect(s.report().tcp_bad_length).toBe(1);
  });

  // Clauses: MUST-57
  it.each(['255.255.255.255', '10.0.0.255', '224.0.0.1'])('a SYN to %s is dropped silently', async (destination) => {
    const s = await small();
    s.restart();
    s.injectTo(destination, 'S 0:0(0) win 1000 <mss 1000>');
    s.silence(2000);
  });

  // Clauses: MUST-63
  it.each(['255.255.255.255', '10.0.0.255', '224.0.0.1', '0.0.0.0', '127.0.0.1', '240.0.0.1'])(
    'a SYN from %s is dropped silently',
    async (source) => {
      const s = await small();
      s.restart();
      s.injectFrom(source, 'S 0:0(0) win 1000 <mss 1000>');
      s.silence(2000);
      expect(s.connections).toBe(1);
    },
  );
});
