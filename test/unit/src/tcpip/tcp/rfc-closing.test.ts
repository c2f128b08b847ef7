/** How connections close: RFC 9293, 3.6, with TIME-WAIT as RFC 6191 and RFC 1337 have it. */
import { afterEach, describe, expect, it } from 'vitest';
import {
  accepted,
  connected,
  connecting,
  listening,
  type Peer,
  stopPeers,
} from '../../../../support/tcpip/rfc/peer.js';

afterEach(stopPeers);

/** A connection that has closed first and waits in TIME-WAIT: our SND.NXT is 2, RCV.NXT is 2. */
async function timeWait(options: Parameters<typeof accepted>[0] = {}): Promise<Peer> {
  const s = await accepted(options);
  s.end();
  s.expect('F. 1:1(0) ack 1');
  s.inject(s.stamp('. 1:1(0) ack 2 win 65535'), s.stamp('F. 1:1(0) ack 2 win 65535'));
  s.expectAck(2);
  expect(s.events).toEqual(['open', 'end', 'close']);
  expect(s.connections).toBe(0);
  return s;
}

describe('an active close', () => {
  // Clauses: MUST-13
  it('goes through FIN-WAIT-1 and FIN-WAIT-2, and waits for 2 MSL', async () => {
    const s = await accepted();
    s.end();
    s.expect('F. 1:1(0) ack 1');
    expect(s.state).toBe('FIN-WAIT-1');
    s.inject('. 1:1(0) ack 2 win 65535');
    expect(s.state).toBe('FIN-WAIT-2');
    s.inject('F. 1:1(0) ack 2 win 65535');
    s.expect('. 2:2(0) ack 2');
    expect(s.events).toEqual(['open', 'end', 'close']);
    s.run(59_000);
    s.inject('F. 1:1(0) ack 2 win 65535');
    s.expect('. 2:2(0) ack 2');
    // The repeated FIN has begun the wait anew (RFC 9293, 3.10.7.4, eighth).
    s.run(59_000);
    s.inject('F. 1:1(0) ack 2 win 65535');
    s.expect('. 2:2(0) ack 2');
    s.run(61_000);
    s.inject('F. 1:1(0) ack 2 win 65535');
    s.expect('R 2:2(0)');
  });

  it('sends the FIN after all data', async () => {
    const s = await accepted();
    s.write(1500);
    s.end();
    s.expect('. 1:1001(1000) ack 1', 'P. 1001:1501(500) ack 1', 'F. 1501:1501(0) ack 1');
    s.inject('. 1:1(0) ack 1502 win 65535');
    expect(s.state).toBe('FIN-WAIT-2');
  });

  // Clauses: MUST-12
  it('still receives data in FIN-WAIT-1 and FIN-WAIT-2', async () => {
    const s = await accepted();
    s.end();
    s.expect('F. 1:1(0) ack 1');
    s.inject('P. 1:11(10) ack 1 win 65535');
    s.expectAck(11);
    s.inject('. 11:11(0) ack 2 win 65535');
    s.inject('P. 11:21(10) ack 2 win 65535');
    s.expectAck(21);
    s.inject('FP. 21:31(10) ack 2 win 65535');
    s.expectAck(32);
    expect(s.events).toEqual(['open', 'data 1..10', 'data 11..20', 'data 21..30', 'end', 'close']);
  });

  it('closes by one segment: FIN and ACK of the FIN', async () => {
    const s = await accepted();
    s.end();
    s.expect('F. 1:1(0) ack 1');
    s.inject('F. 1:1(0) ack 2 win 65535');
    s.expect('. 2:2(0) ack 2');
    expect(s.events).toEqual(['open', 'end', 'close']);
  });

  it('repeats a FIN that is not acknowledged', async () => {
    const s = await accepted();
    s.end();
    s.expect('F. 1:1(0) ack 1');
    const from = s.now;
    const [again] = s.next();
    expect(again).toMatchObject({ flags: expect.stringMatching(/^F/), seq: 1, ack: 1 });
    expect(s.now - from).toBeLessThanOrEqual(1100);
    s.inject('. 1:1(0) ack 2 win 65535');
    expect(s.state).toBe('FIN-WAIT-2');
  });

  it('sends no second FIN for a second end, and takes no more data', async () => {
    const s = await accepted();
    s.end();
    s.expect('F. 1:1(0) ack 1');
    s.inject('. 1:1(0) ack 2 win 65535');
    s.end();
    expect(s.write(10)).toBe(0);
    s.silence(2000);
    expect(s.state).toBe('FIN-WAIT-2');
  });

  it('takes no data in FIN-WAIT-2 that is old', async () => {
    const s = await accepted();
    s.inject('P. 1:11(10) ack 1 win 65535');
    s.expectAck(11);
    s.end();
    s.expect('F. 1:1(0) ack 11');
    s.inject('P. 1:11(10) ack 2 win 65535');
    s.expect('. 2:2(0) ack 11');
    expect(s.events).toEqual(['open', 'data 1..10']);
  });
});

describe('a simultaneous close', () => {
  it('goes through CLOSING to TIME-WAIT', async () => {
    const s = await accepted();
    s.end();
    s.expect('F. 1:1(0) ack 1');
    s.inject('F. 1:1(0) ack 1 win 65535');
    s.expect('. 2:2(0) ack 2');
    expect(s.state).toBe('CLOSING');
    s.inject('. 2:2(0) ack 2 win 65535');
    s.silence(3000);
    expect(s.events).toEqual(['open', 'end', 'close']);
    s.inject('F. 1:1(0) ack 1 win 65535');
    s.expect('. 2:2(0) ack 2');
  });

  it('repeats the FIN in CLOSING', async () => {
    const s = await accepted();
    s.end();
    s.expect('F. 1:1(0) ack 1');
    s.inject('F. 1:1(0) ack 1 win 65535');
    s.expect('. 2:2(0) ack 2');
    const [again] = s.next();
    expect(again).toMatchObject({ flags: expect.stringMatching(/^F/), seq: 1, ack: 2 });
  });

  it('is reset by a RST in CLOSING', async () => {
    const s = await accepted();
    s.end();
    s.expect('F. 1:1(0) ack 1');
    s.inject('F. 1:1(0) ack 1 win 65535');
    s.expect('. 2:2(0) ack 2');
    s.inject('R 2:2(0) win 0');
    expect(s.connections).toBe(0);
    expect(s.events.slice(0, 2)).toEqual(['open', 'end']);
    s.inject('. 2:2(0) ack 2 win 65535');
    s.expect('R 2:2(0)');
  });
});

describe('a passive close', () => {
  it('goes through CLOSE-WAIT and LAST-ACK, and sends until its end', async () => {
    const s = await accepted();
    s.inject('F. 1:1(0) ack 1 win 65535');
    s.expect('. 1:1(0) ack 2');
    expect(s.events).toEqual(['open', 'end']);
    expect(s.state).toBe('CLOSE-WAIT');
    s.write(100);
    s.expect('P. 1:101(100) ack 2');
    s.inject('. 2:2(0) ack 101 win 65535');
    s.silence(300_000);
    s.end();
    s.expect('F. 101:101(0) ack 2');
    expect(s.state).toBe('LAST-ACK');
    s.inject('. 2:2(0) ack 102 win 65535');
    expect(s.events).toEqual(['open', 'end', 'close']);
    // No TIME-WAIT on this side.
    s.inject('. 2:2(0) ack 102 win 65535');
    s.expect('R 102:102(0)');
  });

  it('repeats its FIN in LAST-ACK', async () => {
    const s = await accepted();
    s.inject('F. 1:1(0) ack 1 win 65535');
    s.expect('. 1:1(0) ack 2');
    s.end();
    s.expect('F. 1:1(0) ack 2');
    const [again] = s.next();
    expect(again).toMatchObject({ flags: expect.stringMatching(/^F/), seq: 1, ack: 2 });
  });

  it('answers a repeated FIN with an ACK', async () => {
    const s = await accepted();
    s.inject('F. 1:1(0) ack 1 win 65535');
    s.expect('. 1:1(0) ack 2');
    s.inject('F. 1:1(0) ack 1 win 65535');
    s.expect('. 1:1(0) ack 2');
    expect(s.events).toEqual(['open', 'end']);
  });

  it('ignores data after the FIN', async () => {
    const s = await accepted();
    s.inject('F. 1:1(0) ack 1 win 65535');
    s.expect('. 1:1(0) ack 2');
    s.inject('P. 2:12(10) ack 1 win 65535');
    s.run(1000);
    expect(s.events).toEqual(['open', 'end']);
    expect(s.all.every(({ ack }) => ack <= 2)).toBe(true);
  });

  it('is ended by a RST in CLOSE-WAIT', async () => {
    const s = await accepted();
    s.inject('F. 1:1(0) ack 1 win 65535');
    s.expect('. 1:1(0) ack 2');
    s.inject('R 2:2(0) win 0');
    expect(s.events).toEqual(['open', 'end', 'close ECONNRESET']);
  });

  it('is over with a RST in LAST-ACK', async () => {
    const s = await accepted();
    s.inject('F. 1:1(0) ack 1 win 65535');
    s.expect('. 1:1(0) ack 2');
    s.end();
    s.expect('F. 1:1(0) ack 2');
    s.inject('R 2:2(0) win 0');
    expect(s.events.length).toBe(3);
    expect(s.connections).toBe(0);
  });
});

describe('a close in SYN-RECEIVED', () => {
  it('of the listener lets the handshake go on', async () => {
    const s = await listening();
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <...>');
    s.closeListener();
    s.run(100);
    s.clear();
    s.inject('. 1:1(0) ack 1 win 1000');
    expect(s.events).toEqual(['open']);
    s.restart();
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.from(30_000);
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    expect(s.take().at(-1)).toMatchObject({ flags: 'R.' });
  });

  it('of a simultaneous open sends a FIN when established', async () => {
    const s = await connecting();
    s.expect('S 0:0(0) win 65535 <...>');
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <...>');
    s.end();
    s.inject('. 1:1(0) ack 1 win 1000');
    s.expectSome('F. 1:1(0) ack 1');
    expect(s.state).toBe('FIN-WAIT-1');
  });
});

describe('an abort', () => {
  it.each(['established', 'half-closed by the peer', 'half-closed by us'])('sends a RST: %s', async (what) => {
    const s = await accepted();
    if (what.endsWith('peer')) s.inject('F. 1:1(0) ack 1 win 65535');
    if (what.endsWith('us')) {
      s.end();
      s.run(1);
      s.inject('. 1:1(0) ack 2 win 65535');
    }
    s.run(500);
    s.clear();
    s.abort();
    const [reset] = s.take();
    expect(reset!.flags).toMatch(/^R/);
    expect(reset!.seq).toBe(what.endsWith('us') ? 2 : 1);
    expect(s.events.at(-1)).toBe('close');
    s.silence(10_000);
    expect(s.connections).toBe(0);
  });

  it('discards what was not sent', async () => {
    const s = await accepted();
    s.inject('. 1:1(0) ack 1 win 0');
    s.write(1000);
    s.abort();
    const [reset] = s.take();
    expect(reset).toMatchObject({ seq: 1, length: 0 });
    s.silence(10_000);
  });
});

describe('TIME-WAIT', () => {
  it('answers data and old segments with an ACK, and tells nobody', async () => {
    const s = await timeWait();
    s.inject('P. 2:12(10) ack 2 win 65535');
    s.expect('. 2:2(0) ack 2');
    s.inject('P. -9:1(10) ack 2 win 65535');
    s.expect('. 2:2(0) ack 2');
    s.inject('. 2:2(0) ack 2 win 65535');
    s.silence(1000);
  });

  // RFC 1337, 3: the first fix.
  it('is not ended by a RST', async () => {
    const s = await timeWait();
    s.inject('R 2:2(0) win 0', 'R. 2:2(0) ack 2 win 0');
    s.silence(1000);
    s.inject('F. 1:1(0) ack 2 win 65535');
    s.expect('. 2:2(0) ack 2');
  });

  // Clauses: MAY-2
  it('gives way to a SYN beyond the last sequence number', async () => {
    const s = await timeWait();
    const old = s.iss;
    s.restart(1000);
    s.inject('S 0:0(0) win 65535 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <...>');
    // RFC 9293, 3.6.1: larger than the largest that the old connection has used.
    expect((s.iss - (old + 2)) | 0).toBeGreaterThan(0);
    s.inject('. 1:1(0) ack 1 win 65535');
    expect(s.events).toEqual(['open', 'end', 'close', 'open']);
  });

  it('answers an old SYN with an ACK', async () => {
    const s = await timeWait();
    s.inject('S -1000:-1000(0) win 65535 <mss 1000>');
    s.expect('. 2:2(0) ack 2');
    s.silence(1000);
    expect(s.events).toEqual(['open', 'end', 'close']);
  });

  // Clauses: SHLD-4
  it('gives way to a SYN with a newer timestamp, whatever its sequence number', async () => {
    const s = await timeWait({ peer: '<mss 1000, sackOK, TS val 1000 ecr 0>' });
    s.restart(-1000);
    s.inject('S 0:0(0) win 65535 <mss 1000, sackOK, TS val 2000 ecr 0>');
    s.expect('S. 0:0(0) ack 1 <...>');
  });

  it('does not give way to a SYN with an older timestamp', async () => {
    const s = await timeWait({ peer: '<mss 1000, sackOK, TS val 1000 ecr 0>' });
    s.inject('S 5000:5000(0) win 65535 <mss 1000, sackOK, TS val 500 ecr 0>');
    const [ack] = s.take();
    expect(ack).toMatchObject({ flags: '.', seq: 2, ack: 2 });
    expect(s.events).toEqual(['open', 'end', 'close']);
  });

  it('acknowledges with the timestamps of the connection', async () => {
    const s = await timeWait({ peer: '<mss 1000, sackOK, TS val 1000 ecr 0>' });
    s.inject('F. 1:1(0) ack 2 win 65535 <nop, nop, TS val 1500 ecr 0>');
    const [ack] = s.expect('. 2:2(0) ack 2');
    expect(ack!.options).toMatch(/TS val \d+ ecr \d+/);
  });

  it('of an active open keeps its port from the next one', async () => {
    const s = await connected();
    const port = s.connection.localPort;
    s.end();
    s.expect('F. 1:1(0) ack 1');
    s.inject('F. 1:1(0) ack 2 win 65535');
    s.expect('. 2:2(0) ack 2');
    expect(() => s.stack.tcp.connect({ address: s.address, port: s.port, localPort: port }, {})).toThrow(
      /EADDRINUSE|EADDRNOTAVAIL/,
    );
  });
});
