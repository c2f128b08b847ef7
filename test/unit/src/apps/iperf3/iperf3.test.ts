/** The server of iperf3's protocol, with a client that a test plays. */
import { describe, expect, it } from 'vitest';
import { readParameters } from '../../../../../src/apps/iperf3/protocol.js';
import { Iperf3Server } from '../../../../../src/apps/iperf3/server.js';
import { FakeWire, PlainPeer } from '../../../../support/apps/fake-wire.js';

const PORT = 5201;
const COOKIE = `${'abcdefghijklmnopqrstuvwxyz0123456789'}\0`;

const text = (json: object): string => {
  const content = JSON.stringify(json);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return length.toString('latin1') + content;
};

function lab(options = {}): { wire: FakeWire; server: Iperf3Server; control: PlainPeer } {
  const wire = new FakeWire({ sendBuffer: 100_000, ...options });
  const server = new Iperf3Server();
  wire.tcp.listen({ port: PORT }, server);
  return { wire, server, control: new PlainPeer(wire, PORT) };
}

/** What came since the last call. */
function news(peer: PlainPeer): string {
  const all = peer.text;
  peer.received = Buffer.alloc(0);
  return all;
}

/** Runs a test up to its results, which it returns. `play` sends on the streams. */
function results(parameters: object, streams: number, play: (peers: PlainPeer[], wire: FakeWire) => void): object {
  const { wire, server, control } = lab();
  const say = (message: string): string => {
    control.write(message);
    wire.run();
    return news(control);
  };
  expect(say(COOKIE)).toBe('\x09');
  expect(say(text({ tcp: true, parallel: 1, ...parameters }))).toBe('\x0a');
  const peers = Array.from({ length: streams }, () => new PlainPeer(wire, PORT));
  // The cookies come in another order than the connections: the order of the connections counts.
  for (const peer of [...peers].reverse()) peer.write(COOKIE);
  wire.run();
  expect(news(control)).toBe('\x01\x02');
  play(peers, wire);
  expect(say('\x04')).toBe('\x0d');
  const answer = say(text({ streams: [] }));
  expect(answer.at(-1)).toBe('\x0e');
  expect(Buffer.from(answer, 'latin1').readUInt32BE(0)).toBe(answer.length - 5);
  say('\x10');
  for (const peer of peers) {
    expect(peer.hasEnded || peer.isClosed).toBe(true);
    peer.c.end();
  }
  control.c.end();
  wire.run();
  expect(control.isClosed).toBe(true);
  expect(server.report()).toMatchObject({ iperf3_tests: 1, iperf3_refused: 0 });
  return JSON.parse(answer.slice(4, -1));
}

describe('a test', () => {
  it('counts what each stream received', () => {
    const counted = results({ parallel: 3 }, 3, (peers, wire) => {
      peers.forEach((peer, i) => {
        peer.write('x'.repeat(1000 * (i + 1)));
      });
      wire.run();
    });
    const stream = { jitter: 0, errors: 0, packets: 0, retransmits: -1, start_time: 0, end_time: expect.any(Number) };
    expect(counted).toMatchObject({
      cpu_util_total: expect.any(Number),
      cpu_util_user: expect.any(Number),
      cpu_util_system: expect.any(Number),
      sender_has_retransmits: -1,
      streams: [
        { ...stream, id: 1, bytes: 1000 },
        { ...stream, id: 3, bytes: 2000 },
        { ...stream, id: 4, bytes: 3000 },
      ],
    });
  });

  it('sends in reverse, as many bytes as were asked for', () => {
    const counted = results({ parallel: 2, reverse: true, num: 300_001, len: 1000 }, 2, (peers, wire) => {
      wire.run();
      expect(peers.reduce((sum, peer) => sum + peer.received.length, 0)).toBe(300_001);
    });
    expect(counted).toMatchObject({
      sender_has_retransmits: 1,
      streams: [
        { id: 1, retransmits: 0 },
        { id: 3, retransmits: 0 },
      ],
    });
  });

  it('goes both ways: the first streams receive, the others send', () => {
    const counted = results({ bidirectional: 1, num: 5000 }, 2, ([first, second], wire) => {
      first?.write('x'.repeat(700));
      wire.run();
      expect(first?.received).toHaveLength(0);
      expect(second?.received).toHaveLength(5000);
    });
    expect(counted).toMatchObject({
      streams: [
        { id: 1, bytes: 700 },
        { id: 3, bytes: 5000 },
      ],
    });
  });
});

describe('what is refused', () => {
  it('another test meanwhile, with ACCESS_DENIED', () => {
    const { wire, server, control } = lab();
    control.write(COOKIE);
    wire.run();
    const other = new PlainPeer(wire, PORT);
    other.write(`other${COOKIE.slice(5)}`);
    wire.run();
    expect(other.text).toBe('\xff');
    expect(other.hasEnded).toBe(true);
    // A stream that comes too early.
    const early = new PlainPeer(wire, PORT);
    early.write(COOKIE);
    wire.run();
    expect(early.text).toBe('\xff');
    expect(server.report().iperf3_refused).toBe(2);
    control.c.abort();
    wire.run();
    const next = new PlainPeer(wire, PORT);
    next.write(COOKIE);
    wire.run();
    expect(next.text).toBe('\x09');
  });

  it.each([
    ['UDP', text({ udp: true })],
    ['129 streams', text({ tcp: true, parallel: 129 })],
    ['blocks of 2 MB', text({ tcp: true, len: 2_000_000 })],
    ['no JSON', '\0\0\0\x01x'],
    ['null', '\0\0\0\x04null'],
  ])('%s, with the number of the error', (_name, parameters) => {
    const { wire, control } = lab({ piece: () => 1 });
    control.write(COOKIE + parameters);
    wire.run();
    expect(control.text).toBe('\x09\xfe\0\0\0\x0d\0\0\0\0');
    expect(control.hasEnded).toBe(true);
  });

  it.each([
    ['a text without end', '\0\x7f\0\0'],
    ['a state that does not fit', `${text({ tcp: true })}\x04`],
  ])('%s: the connection is reset', (_name, message) => {
    const { wire, control } = lab();
    control.write(COOKIE + message);
    wire.run();
    expect(control.error).toMatchObject({ code: 'ECONNRESET' });
  });

  it('a client that says nothing: no cookie in 10 s, no message in 30 s', () => {
    const { wire, server, control } = lab();
    control.write(COOKIE.slice(0, 36));
    wire.run();
    const seconds = (count: number): void => {
      for (let i = 0; i < count; i++) server.tick();
      wire.run();
    };
    seconds(10);
    expect(control.isClosed).toBe(false);
    seconds(1);
    expect(control.isClosed).toBe(true);
    const silent = new PlainPeer(wire, PORT);
    silent.write(COOKIE);
    wire.run();
    seconds(30);
    expect(silent.isClosed).toBe(false);
    seconds(2);
    expect(silent.isClosed).toBe(true);
  });
});

describe('parameters', () => {
  it('are those of iperf 3.12', () => {
    const asked =
      '{"tcp":true,"omit":2,"time":10,"num":0,"blockcount":3,"parallel":4,"len":1000,"bandwidth":8000,"reverse":true}';
    expect(readParameters(asked)).toEqual({
      ...{ streams: 4, block: 1000, serverSends: true, serverReceives: false, limit: 3000, rate: 8000, omit: 2 },
    });
    expect(readParameters('{"tcp":true}')).toMatchObject({
      streams: 1,
      serverSends: false,
      serverReceives: true,
      limit: 0,
    });
  });
});
