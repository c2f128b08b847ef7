/** How connections open: RFC 9293, 3.5 and 3.10.7.1 to 3.10.7.3. Segments: a scripted peer. */
import { afterEach, describe, expect, it } from 'vitest';
import { TcpIp } from '../../../../../src/tcpip/index.js';
import { openFakePort } from '../../../../../src/testing/fake-port.js';
import { accepted, connecting, listening, stopPeers } from '../../../../support/tcpip/rfc/peer.js';
import { PEER_IP, STACK_IP } from '../../../../support/tcpip/script/script.js';

afterEach(stopPeers);

const OPTIONS = '<mss 1460, sackOK, TS val 100 ecr 0, nop, wscale 7>';

describe('a passive open', () => {
  // Clauses: MUST-4, MUST-14, SHLD-5, MAY-3, MUST-67, 7323-2.3a, 7323-2.2c
  it('answers a SYN that has all options with all options', async () => {
    const s = await listening();
    s.inject(`S 0:0(0) win 65535 ${OPTIONS}`);
    s.expect('S. 0:0(0) ack 1 win 65535 <mss 1460, sackOK, TS val any ecr 100, nop, wscale any>');
    s.inject('. 1:1(0) ack 1 win 512 <nop, nop, TS val 101 ecr last>');
    s.silence(1000);
    expect(s.events).toEqual(['open']);
    expect(s.state).toBe('ESTABLISHED');
  });

  // Clauses: 7323-2.2a, 2018-2a
  it('answers a SYN without options with nothing but an MSS', async () => {
    const s = await listening();
    s.inject('S 0:0(0) win 1000');
    s.expect('S. 0:0(0) ack 1 <mss 1460>');
    s.inject('. 1:1(0) ack 1 win 1000');
    s.silence(1000);
    expect(s.events).toEqual(['open']);
    expect(s.connection.info()).toMatchObject({ timestamps: false, sack: false, sendScale: 0, receiveScale: 0 });
  });

  it('opens with the data of the third segment', async () => {
    const s = await listening();
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <mss 1460>');
    s.inject('P. 1:11(10) ack 1 win 1000');
    s.expectAck(11);
    expect(s.events).toEqual(['open', 'data 1..10']);
  });

  it('opens and ends with a FIN as the third segment', async () => {
    const s = await listening();
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <mss 1460>');
    s.inject('F. 1:1(0) ack 1 win 1000');
    s.expectAck(2);
    expect(s.events).toEqual(['open', 'end']);
    expect(s.state).toBe('CLOSE-WAIT');
  });

  it('acknowledges the SYN alone when it carries data, which the peer repeats', async () => {
    const s = await listening();
    s.inject('S 0:10(10) win 1000 <mss 1000>');
    const [ack] = s.expect('S. 0:0(0) ack any <mss 1460>');
    // RFC 9293, 3.10.7.2: the data may be queued or, as here, left to be sent again.
    expect([1, 11]).toContain(ack!.ack);
    s.inject('P. 1:11(10) ack 1 win 1000');
    s.expectAck(11);
    expect(s.events).toEqual(['open', 'data 1..10']);
  });

  // Clauses: MUST-22
  it('repeats the SYN-ACK with twice the time, and gives up', async () => {
    const s = await listening();
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <mss 1460>');
    for (const seconds of [1, 2, 4]) {
      s.silence(seconds * 1000 - 10);
      s.expect('S. 0:0(0) ack 1 <mss 1460>');
    }
    s.run(300_000);
    s.clear();
    s.inject('. 1:1(0) ack 1 win 1000');
    s.expect('R 1:1(0)');
    expect(s.events).toEqual([]);
    expect(s.connections).toBe(0);
  });

  it('answers a repeated SYN with the same SYN-ACK', async () => {
    const s = await listening();
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <mss 1460>');
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <mss 1460>');
    s.inject('. 1:1(0) ack 1 win 1000');
    expect(s.events).toEqual(['open']);
  });

  it('answers an ACK of what was not sent with a RST, and stays half open', async () => {
    const s = await listening();
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <mss 1460>');
    s.inject('. 1:1(0) ack 5 win 1000');
    s.expect('R 5:5(0)');
    s.inject('. 1:1(0) ack 0 win 1000');
    s.expect('R 0:0(0)');
    s.inject('. 1:1(0) ack 1 win 1000');
    expect(s.events).toEqual(['open']);
  });

  // Clauses: MUST-11
  it('returns to LISTEN without a word for a RST', async () => {
    const s = await listening();
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <mss 1460>');
    s.inject('R 1:1(0) win 0');
    s.silence(10_000);
    expect(s.events).toEqual([]);
    s.restart();
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <mss 1460>');
    s.inject('. 1:1(0) ack 1 win 1000');
    expect(s.events).toEqual(['open']);
  });

  it('drops a RST beside RCV.NXT while half open', async () => {
    const s = await listening();
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <mss 1460>');
    s.inject('R 100000:100000(0) win 0');
    s.silence(500);
    s.inject('. 1:1(0) ack 1 win 1000');
    expect(s.events).toEqual(['open']);
  });

  // RFC 9293, 3.10.7.4, first check; RFC 5961, 4.2.
  it('answers the SYN of a client that has begun anew, which then resets the old one', async () => {
    const s = await listening();
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <...>');
    s.inject('S 500000:500000(0) win 1000 <mss 1000>');
    s.expect('. 1:1(0) ack 1');
    s.inject('R 1:1(0)');
    expect(s.connections).toBe(0);
  });

  it('answers data outside of the window before the handshake is over', async () => {
    const s = await listening();
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <...>');
    s.inject('P. 500000:500010(10) ack 1 win 1000');
    s.expect('. 1:1(0) ack 1');
    expect(s.connections).toBe(1);
  });
});

describe('a port that listens', () => {
  it.each(['R 5:5(0) win 0', 'R. 5:5(0) ack 7 win 0', 'SR 5:5(0) win 0'])('ignores %s', async (segment) => {
    const s = await listening();
    s.inject(segment);
    s.silence(1000);
  });

  it.each(['. 5:5(0)', 'P. 5:15(10)', 'F. 5:5(0)', 'S. 5:5(0)', 'FP. 5:15(10)'])(
    'answers %s ack 77 with a RST',
    async (s1) => {
      const s = await listening();
      s.inject(`${s1} ack 77 win 1000`);
      s.expect('R 77:77(0)');
      s.silence(1000);
    },
  );

  it.each(['F 5:5(0)', 'P 5:15(10)', '0 5:5(0)', 'U 5:5(0)'])('drops %s, which has no ACK', async (segment) => {
    const s = await listening();
    s.inject(`${segment} win 1000`);
    s.silence(1000);
    expect(s.connections).toBe(0);
  });

  // Clauses: MUST-41
  it('is refused to a second listener, and stays', async () => {
    const s = await listening();
    expect(() => s.stack.tcp.listen({ port: 80 }, {})).toThrow(/EADDRINUSE/);
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <mss 1460>');
  });

  // Clauses: MUST-42
  it('may be one that a connection in SYN-SENT has', async () => {
    const s = await connecting({ localPort: 80 });
    s.expect('S 0:0(0) win 65535 <mss 1460, sackOK, TS val any ecr 0, nop, wscale any>');
    expect(s.state).toBe('SYN-SENT');
    s.listen(80);
    s.from(2000, 80);
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <mss 1460>');
  });

  // Clauses: MUST-42
  it('may be one that a connection in SYN-RECEIVED has', async () => {
    const s = await connecting({ localPort: 80 });
    s.expect('S 0:0(0) win 65535 <...>');
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <...>');
    expect(s.state).toBe('SYN-RECEIVED');
    s.listen(80);
    s.from(2000, 80);
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <mss 1460>');
  });
});

describe('a port without a listener', () => {
  it.each([
    ['S 0:0(0)', 'R. 0:0(0) ack 1'],
    ['S 0:10(10)', 'R. 0:0(0) ack 11'],
    ['F 5:5(0)', 'R. 0:0(0) ack 6'],
    ['P 5:15(10)', 'R. 0:0(0) ack 15'],
    ['0 5:5(0)', 'R. 0:0(0) ack 5'],
    ['. 5:5(0) ack 77', 'R 77:77(0)'],
    ['P. 5:15(10) ack 77', 'R 77:77(0)'],
    ['F. 5:5(0) ack 77', 'R 77:77(0)'],
    ['S. 0:0(0) ack 77', 'R 77:77(0)'],
  ])('answers %s with %s', async (segment, reset) => {
    const s = await listening({ localPort: 81 });
    s.inject(`${segment} win 1000`);
    s.expect(reset);
    s.silence(1000);
  });

  it.each(['R 5:5(0)', 'R. 5:5(0) ack 7', 'FR 5:5(0)'])('ignores %s', async (segment) => {
    const s = await listening({ localPort: 81 });
    s.inject(`${segment} win 0`);
    s.silence(1000);
  });
});

describe('an active open', () => {
  // Clauses: 7323-3.2a, MUST-65, MUST-68, MUST-69
  it('sends a SYN with all options, and an ACK for the SYN-ACK', async () => {
    const s = await connecting();
    s.expect('S 0:0(0) win 65535 <mss 1460, sackOK, TS val any ecr 0, nop, wscale any>');
    s.inject('S. 0:0(0) ack 1 win 65535 <mss 1460, sackOK, TS val 100 ecr last, nop, wscale 7>');
    s.expect('. 1:1(0) ack 1 <nop, nop, TS val any ecr 100>');
    expect(s.events).toEqual(['open']);
    expect(s.state).toBe('ESTABLISHED');
    s.silence(10_000);
  });

  it('does without the options that the SYN-ACK lacks', async () => {
    const s = await connecting();
    s.expect('S 0:0(0) win 65535 <mss 1460, sackOK, TS val any ecr 0, nop, wscale any>');
    s.inject('S. 0:0(0) ack 1 win 1000');
    s.expect('. 1:1(0) ack 1 <>');
    expect(s.connection.info()).toMatchObject({ timestamps: false, sack: false, sendScale: 0, receiveScale: 0 });
  });

  it('takes data and FIN after a SYN-ACK with data', async () => {
    const s = await connecting();
    s.expect('S 0:0(0) win 65535 <...>');
    s.inject('S. 0:5(5) ack 1 win 1000 <mss 1000>');
    // RFC 9293, 3.10.7.3: the data may be taken or, as here, left to be sent again.
    s.expect('. 1:1(0) ack 1');
    s.inject('P. 1:6(5) ack 1 win 1000');
    s.expectAck(6);
    s.inject('F. 6:6(0) ack 1 win 1000');
    s.expectAck(7);
    expect(s.events).toEqual(['open', 'data 1..5', 'end']);
  });

  // Clauses: MUST-23, SHLD-10, SHLD-11, MUST-20
  it('repeats the SYN with twice the time for three minutes at least, and gives up', async () => {
    const s = await connecting();
    s.expect('S 0:0(0) win 65535 <...>');
    for (const seconds of [1, 2, 4, 8]) {
      s.silence(seconds * 1000 - 10);
      s.expect('S 0:0(0) win 65535 <...>');
    }
    const begin = s.now;
    while (s.events.length === 0 && s.now < begin + 600_000) s.run(1000);
    expect(s.events).toEqual(['close ETIMEDOUT']);
    expect(s.now + 15_000 - begin).toBeGreaterThanOrEqual(180_000);
  });

  // Clauses: 6298-2.1a
  it('begins with an RTO of one second', async () => {
    const s = await connecting();
    s.expect('S 0:0(0) win 65535 <...>');
    s.silence(990);
    s.expect('S 0:0(0) win 65535 <...>');
  });

  it.each([0, 2, 1000])('answers an ACK of %i, which it did not send, with a RST', async (ack) => {
    const s = await connecting();
    s.expect('S 0:0(0) win 65535 <...>');
    s.inject(`S. 0:0(0) ack ${ack} win 1000`);
    s.expect(`R ${ack}:${ack}(0)`);
    s.inject(`. 1:1(0) ack ${ack} win 1000`);
    s.expect(`R ${ack}:${ack}(0)`);
    expect(s.state).toBe('SYN-SENT');
    s.inject('S. 0:0(0) ack 1 win 1000');
    s.expect('. 1:1(0) ack 1');
  });

  // Clauses: 5961-3.2e
  it('is refused by a RST that acknowledges the SYN, and by no other', async () => {
    const s = await connecting();
    s.expect('S 0:0(0) win 65535 <...>');
    s.inject('R 0:0(0) win 0', 'R. 0:0(0) ack 0 win 0', 'R. 0:0(0) ack 2 win 0', 'SR 0:0(0) win 0');
    s.silence(500);
    expect(s.events).toEqual([]);
    s.inject('R. 0:0(0) ack 1 win 0');
    s.silence(5000);
    expect(s.events).toEqual(['close ECONNREFUSED']);
  });

  it.each(['. 1:1(0) ack 1', 'P. 1:11(10) ack 1', 'F. 1:1(0) ack 1', 'F 1:1(0)', '0 1:1(0)'])(
    'drops %s',
    async (segment) => {
      const s = await connecting();
      s.expect('S 0:0(0) win 65535 <...>');
      s.inject(`${segment} win 1000`);
      s.silence(500);
      expect(s.state).toBe('SYN-SENT');
      expect(s.events).toEqual([]);
    },
  );

  it('has the whole send buffer for data: the SYN takes none of it', async () => {
    const s = await connecting();
    s.expect('S 0:0(0) win 65535 <...>');
    expect(s.connection.buffered).toBe(0);
    const room = s.connection.writable;
    expect(room).toBe(65_536);
    expect(s.write(10)).toBe(10);
    expect(s.write(room)).toBe(room - 10);
    expect(s.connection.buffered).toBe(room);
    s.inject('S. 0:0(0) ack 1 win 65535 <mss 1000>');
    s.expect('. 1:1001(1000) ack 1');
    expect(s.connection.buffered).toBe(room);
  });

  it('is refused from a port whose answers come to another core', async () => {
    const port = await openFakePort({ ip: `${STACK_IP}/24` });
    const { core } = port;
    Object.defineProperty(core, 'count', { value: 2 });
    core.rssCoreForPorts = (_remote, _local, _remotePort, localPort) => localPort & 1;
    const { tcp } = new TcpIp(core);
    const peer = { address: PEER_IP, port: 80 };
    expect(() => tcp.connect({ ...peer, localPort: 5001 }, {})).toThrow('come to another core');
    expect(tcp.connect({ ...peer, localPort: 5000 }, {}).localPort).toBe(5000);
    expect(tcp.connect(peer, {}).localPort & 1).toBe(0);
    await port.stop();
  });

  // Clauses: MUST-10
  it('meets another: both ends send SYN, then SYN-ACK', async () => {
    const s = await connecting();
    s.expect('S 0:0(0) win 65535 <mss 1460, sackOK, TS val any ecr 0, nop, wscale any>');
    s.inject(`S 0:0(0) win 65535 ${OPTIONS}`);
    s.expect('S. 0:0(0) ack 1 <mss 1460, sackOK, TS val any ecr 100, nop, wscale any>');
    expect(s.state).toBe('SYN-RECEIVED');
    s.inject('S. 0:0(0) ack 1 win 65535 <mss 1460, sackOK, TS val 101 ecr last, nop, wscale 7>');
    s.inject('. 1:1(0) ack 1 win 512 <nop, nop, TS val 102 ecr last>');
    s.silence(5000);
    expect(s.events).toEqual(['open']);
    s.write(10);
    s.expect('P. 1:11(10) ack 1');
  });

  it('is refused by a RST in SYN-RECEIVED, after a simultaneous open', async () => {
    const s = await connecting();
    s.expect('S 0:0(0) win 65535 <...>');
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <...>');
    s.inject('R. 1:1(0) ack 1 win 0');
    expect(s.events).toEqual(['close ECONNREFUSED']);
  });

  // Clauses: MUST-46
  it.each(['255.255.255.255', '224.0.0.1', '0.0.0.0', '10.0.0.255', '127.0.0.1', '240.0.0.1', '10.0.0'])(
    'is refused to %s',
    async (address) => {
      const s = await listening();
      expect(() => s.stack.tcp.connect({ address, port: 80 }, {})).toThrow();
      s.silence(1000);
    },
  );

  it('may be aborted before the answer, without a segment', async () => {
    const s = await connecting();
    s.expect('S 0:0(0) win 65535 <...>');
    s.abort();
    s.silence(5000);
    expect(s.events).toEqual(['close']);
    s.inject('S. 0:0(0) ack 1 win 1000');
    s.expect('R 1:1(0)');
  });

  it('sends what was written before the answer with the first ACK', async () => {
    const s = await connecting();
    s.write(10);
    s.expect('S 0:0(0) win 65535 <...>');
    s.inject('S. 0:0(0) ack 1 win 1000 <mss 1000>');
    s.expect('P. 1:11(10) ack 1');
  });
});

describe('the initial sequence number', () => {
  it('of a connection that was refused is not that of the next', async () => {
    const s = await accepted();
    s.inject('R 1:1(0) win 0');
    const first = s.iss;
    s.run(1);
    s.restart();
    s.inject('S 0:0(0) win 1000 <mss 1000>');
    s.expect('S. 0:0(0) ack 1 <...>');
    expect(s.iss).not.toBe(first);
  });
});
