import { describe, expect, it } from 'vitest';
import {
  ICMP_DESTINATION_UNREACHABLE,
  ICMP_FRAGMENTATION_NEEDED,
  ICMP_HEADER_BYTES,
} from '../../../../../../src/wire/icmp.js';
import { IPV4_HEADER_BYTES } from '../../../../../../src/wire/ipv4.js';
import { tcpSequence } from '../../../../../../src/wire/tcp.js';
import { AnsweringStack } from '../../../../../support/tcpip/script/answering-stack.js';
import { type Script, script } from '../../../../../support/tcpip/script/script.js';

type Defect = ConstructorParameters<typeof AnsweringStack>[1];

const listening = (defect?: Defect): Promise<Script> =>
  script({ stack: (core) => new AnsweringStack(core, defect), listen: { port: 80 } });

/** Opens the connection of a script. The ISS of the peer is near the end of the number space. */
const opened = async (defect?: Defect): Promise<Script> => {
  const s = await listening(defect);
  s.inject('S 4294967290:4294967290(0) win 65535 <mss 1460>');
  s.expect('S. 0:0(0) ack 1 win 1000 <>').inject('. 1:1(0) ack 1').expectEvents('open');
  return s;
};

describe('a script', () => {
  it('opens a connection, sends data both ways, and knows when', async () => {
    const s = await opened();
    s.at(200).inject('P. 1:101(100) ack 1').after(40).expect('. 1:1(0) ack 101');
    expect(s.now).toBe(240);
    s.expectEvents('data 100').write(50).expect('P. 1:51(50) ack 101');
    s.write(20).expect('P. 51:71(20) ack 101').close().expect('F. 71:71(0) ack 101');
    s.expectNothing(500);
    expect(s.now).toBe(740);
    await s.stop();
  });

  it('accepts a connection that the stack opens', async () => {
    const s = await script({ stack: (core) => new AnsweringStack(core), connect: { port: 443 } });
    s.expect('S 0:0(0) <>').inject('S. 7:7(0) ack 1').expect('. 1:1(0) ack 1');
    s.inject('P. 1:11(10) ack 1').expectWithin(100, '. 1:1(0) ack 11');
    expect(s.now).toBe(40);
    await s.stop();
  });

  it('follows several connections of the peer', async () => {
    const s = await listening();
    s.inject('S 5:5(0)').expect('S. 0:0(0) ack 1');
    s.peer(40_001).inject('S 900:900(0)').expect('S. 0:0(0) ack 1');
    s.peer(40_000).restart().inject('S 77:77(0)').expect('S. 0:0(0) ack 1');
    await s.stop();
  });

  it('gives the stack ICMP errors that quote its segments', async () => {
    const s = await opened();
    const seen: Uint8Array[] = [];
    const { inject } = s.port;
    s.port.inject = (packet) => {
      seen.push(packet);
      return inject.call(s.port, packet);
    };
    s.write(10).expect('P. 1:11(10) ack 1');
    const sent = { type: ICMP_DESTINATION_UNREACHABLE, code: ICMP_FRAGMENTATION_NEEDED, mtu: 1400 };
    s.icmp({ ...sent, quote: '. 1:11(10) ack 1' });
    const quoted = IPV4_HEADER_BYTES + ICMP_HEADER_BYTES + IPV4_HEADER_BYTES;
    expect(tcpSequence(seen[0]!, quoted)).toBe(0x7ffffff1);
  });
});

describe('a script fails with a listing', () => {
  const failure = async (steps: (s: Script) => unknown, defect?: Defect): Promise<string> => {
    const s = await opened(defect);
    try {
      await steps(s);
    } catch (error) {
      return (error as Error).message;
    }
    throw new Error('the script has not failed');
  };

  it('when a segment differs', async () => {
    const message = await failure((s) => s.inject('P. 1:11(10) ack 1').after(40).expect('. 1:1(0) ack 12 win 7'));
    expect(message.split('\n')).toEqual([
      'expected at 40.000: . 1:1(0) ack 12 win 7',
      'sent: . 1:1(0) ack 11 win 1000 <>',
      'ack is 11, expected 12',
      'win is 1000, expected 7',
      '--- what happened, < to the stack, > from it:',
      '       0.000 < S 4294967290:4294967290(0) win 65535 <mss 1460>',
      '       0.000 > S. 0:0(0) ack 1 win 1000 <>',
      '       0.000 < . 1:1(0) ack 1',
      '       0.000   app: open',
      '       0.000 < P. 1:11(10) ack 1',
      '       0.000   app: data 10',
      '      40.000 > . 1:1(0) ack 11 win 1000 <>',
    ]);
  });

  it('when a segment comes too early, too late, or not at all', async () => {
    const late = (ms: number) => (s: Script) => s.inject('P. 1:11(10) ack 1').after(ms).expect('. 1:1(0) ack 11');
    expect(await failure(late(45))).toMatch(/^expected at 45\.000: .*\nsent: .*\nsent at 40\.000\n/);
    expect(await failure(late(35))).toMatch(/^expected at 35\.000: .*\nnothing was sent until 36\.000\n/);
    expect(await failure((s) => s.expect('. 1:1(0)'))).toContain('nothing was sent until 1.000');
  });

  it('when a segment comes that was not expected', async () => {
    expect(await failure((s) => s.inject('P. 1:11(10) ack 1').expectNothing(50))).toMatch(
      /^nothing was expected until 50/,
    );
    expect(await failure((s) => s.write(10).stop())).toContain('more than was expected');
  });

  it('when the data are wrong', async () => {
    const message = await failure((s) => s.write(10).expect('P. 1:11(10) ack 1'), 'wrong data');
    expect(message).toContain('byte 2 of the data is wrong');
  });

  it('when the application sees other events', async () => {
    const message = await failure((s) => s.inject('P. 1:11(10) ack 1', new Uint8Array(10)).expectEvents('data 10'));
    expect(message).toMatch(/^the application has seen \[wrong byte 0, data 10\], expected \[data 10\]/);
  });

  it('when the stack keeps a buffer, or never rests', async () => {
    expect(await failure((s) => s.stop(), 'keeps a buffer')).toContain('the stack holds 2 buffers');
    await expect(opened('never rests')).rejects.toThrow(/does not come to rest/);
  });

  it('when time would go back', async () => {
    expect(await failure((s) => s.wait(10).at(5))).toContain('at(5) has passed');
  });
});
