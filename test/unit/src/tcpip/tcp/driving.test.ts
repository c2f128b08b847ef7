/** What a loop of one's own needs of TCP: one flush per turn, the end of all connections, what is unacknowledged. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NetError, TcpIp } from '../../../../../src/tcpip/index.js';
import { type FakePort, openFakePort } from '../../../../../src/testing/index.js';
import { checkInvariants } from '../../../../support/tcpip/invariants.js';
import { RecordingApp } from '../../../../support/tcpip/rfc/app.js';

const OWN = '10.0.0.1';
const PEER = '10.0.0.2';

let net: FakePort;
let peerNet: FakePort;
let stack: TcpIp;
let peer: TcpIp;
let client: RecordingApp;
let server: RecordingApp;

beforeEach(async () => {
  net = await openFakePort({ ip: `${OWN}/24` });
  peerNet = await openFakePort({ ip: `${PEER}/24` });
  stack = new TcpIp(net.core, { seed: 1 });
  peer = new TcpIp(peerNet.core, { seed: 2 });
  client = new RecordingApp();
  server = new RecordingApp();
  peer.tcp.listen({ port: 80 }, server);
});

afterEach(async () => {
  stack.stop();
  peer.stop();
  expect([net.held, peerNet.held]).toEqual([0, 0]);
  await net.stop();
  await peerNet.stop();
});

/** Carries the packets of both stacks until there are none. Returns how many our stack has sent. */
function carry(): number {
  let sent = 0;
  for (let quiet = 0; quiet < 3; ) {
    stack.poll();
    peer.poll();
    checkInvariants(stack.tcp);
    const ours = net.sent();
    const theirs = peerNet.sent();
    for (const packet of ours) peerNet.inject(packet);
    for (const packet of theirs) net.inject(packet);
    sent += ours.length;
    quiet = ours.length + theirs.length === 0 ? quiet + 1 : 0;
    net.pass(50);
    peerNet.pass(50);
  }
  return sent;
}

function connect(app = client): void {
  app.begin(stack.tcp.connect({ address: PEER, port: 80, noDelay: true }, app));
  carry();
}

describe('TcpIp.defer', () => {
  it('leaves what is called outside of a poll to the next one, which sends it together', () => {
    connect();
    for (let i = 0; i < 10; i++) client.write(10);
    expect(net.sent()).toHaveLength(10);
    stack.defer = true;
    for (let i = 0; i < 10; i++) client.write(10);
    client.connection.end();
    expect(net.sent()).toEqual([]);
    expect(stack.maxSleepMs()).toBe(0);
    stack.poll();
    expect(net.sent()).toHaveLength(1);
  });

  it('has the packets of a poll that only sends go out at once', () => {
    connect();
    stack.defer = true;
    client.write(10);
    const before = net.device.frames.length;
    stack.poll();
    expect(net.device.frames.length).toBe(before + 1);
    net.sent();
  });

  it('wakes a core that sleeps', async () => {
    connect();
    stack.defer = true;
    const sleep = net.core.waitForPackets();
    client.write(10);
    expect(await sleep).toBe(0);
    stack.poll();
    expect(net.sent()).toHaveLength(1);
  });

  it('has waiting data delivered at the next poll, not by resume', () => {
    connect();
    client.connection.pause();
    server.write(7);
    carry();
    stack.defer = true;
    client.connection.resume();
    expect(client.events).toEqual(['open']);
    stack.poll();
    expect(client.events).toEqual(['open', 'data 1..7']);
  });

  it('opens, ends and aborts connections as without', () => {
    stack.defer = true;
    connect();
    expect(client.state).toBe('ESTABLISHED');
    client.connection.abort();
    expect(client.events).toEqual(['open', 'close']);
    carry();
    expect(server.events).toEqual(['open', 'close ECONNRESET']);
    expect(stack.report().tcp_connections).toBe(0);
  });
});

describe('resetAll', () => {
  const gone = new NetError('ECONNRESET', 'ECONNRESET: the device is gone');

  it('ends every connection to another host with a RST and the error; listeners stay', () => {
    const opening = new RecordingApp();
    const incoming = new RecordingApp();
    stack.tcp.listen({ port: 81 }, incoming);
    connect();
    server.begin(server.connection);
    peer.tcp.connect({ address: OWN, port: 81 }, {});
    carry();
    opening.begin(stack.tcp.connect({ address: '10.0.0.3', port: 80 }, opening));
    stack.tcp.resetAll(gone);
    expect([client.events.at(-1), incoming.events.at(-1)]).toEqual(['close ECONNRESET', 'close ECONNRESET']);
    expect(opening.events).toEqual(['close ECONNRESET']);
    expect(stack.report().tcp_connections).toBe(0);
    carry();
    expect(server.events.at(-1)).toBe('close ECONNRESET');
    peer.tcp.connect({ address: OWN, port: 81 }, {});
    carry();
    expect(incoming.state).toBe('ESTABLISHED');
  });

  it('leaves connections to the own address, and those that a handler opens meanwhile', () => {
    const own = new RecordingApp();
    stack.tcp.listen({ port: 81 }, own);
    stack.tcp.connect({ address: OWN, port: 81 }, {});
    const again = new RecordingApp();
    stack.tcp.connect(
      { address: PEER, port: 80 },
      { close: () => again.begin(stack.tcp.connect({ address: PEER, port: 80 }, again)) },
    );
    carry();
    stack.tcp.resetAll(gone);
    carry();
    expect(own.state).toBe('ESTABLISHED');
    expect(again.state).toBe('ESTABLISHED');
  });

  it('ends all of them when a handler throws, and throws the first error', () => {
    connect();
    stack.tcp.connect(
      { address: PEER, port: 80 },
      {
        close() {
          throw new Error('handler');
        },
      },
    );
    const last = new RecordingApp();
    connect(last);
    expect(() => stack.tcp.resetAll(gone)).toThrow('handler');
    expect(last.events.at(-1)).toBe('close ECONNRESET');
    expect(stack.report().tcp_connections).toBe(0);
  });
});

describe('tcp.unacknowledged', () => {
  it('counts connections with bytes or a FIN on the way', () => {
    connect();
    expect(stack.tcp.unacknowledged).toBe(0);
    client.write(10);
    expect(stack.tcp.unacknowledged).toBe(1);
    carry();
    expect(stack.tcp.unacknowledged).toBe(0);
    client.connection.end();
    expect(stack.tcp.unacknowledged).toBe(1);
    carry();
    expect(client.state).toBe('FIN-WAIT-2');
    expect(stack.tcp.unacknowledged).toBe(0);
    server.connection.end();
    expect(peer.tcp.unacknowledged).toBe(1);
    carry();
    expect([stack.tcp.unacknowledged, peer.tcp.unacknowledged]).toEqual([0, 0]);
  });

  it('counts bytes that were written before the handshake is over', () => {
    client.begin(stack.tcp.connect({ address: PEER, port: 80 }, client));
    expect(stack.tcp.unacknowledged).toBe(0);
    client.write(1);
    expect(stack.tcp.unacknowledged).toBe(1);
    carry();
    expect(stack.tcp.unacknowledged).toBe(0);
  });
});

describe('listen at port 0', () => {
  it('chooses ports from 49152 on that have no listener, the same in each stack', () => {
    const other = new TcpIp(peerNet.core, { seed: 99 });
    stack.tcp.listen({ port: 49_153 }, {});
    const ports = [1, 2, 3].map(() => stack.tcp.listen({ port: 0 }, {}).port);
    expect(ports).toEqual([49_152, 49_154, 49_155]);
    expect([1, 2].map(() => other.tcp.listen({ port: 0 }, {}).port)).toEqual([49_152, 49_153]);
    other.stop();
  });

  it('takes connections at the port, and closes', () => {
    const incoming = new RecordingApp();
    const listener = stack.tcp.listen({ port: 0 }, incoming);
    peer.tcp.connect({ address: OWN, port: listener.port }, {});
    carry();
    expect(incoming.state).toBe('ESTABLISHED');
    listener.close();
    const refused = new RecordingApp();
    peer.tcp.connect({ address: OWN, port: listener.port }, refused);
    carry();
    expect(refused.events).toEqual(['close ECONNREFUSED']);
  });

  it('fails when every port has a listener', () => {
    for (let port = 49_152; port <= 65_535; port++) stack.tcp.listen({ port: 0 }, {});
    expect(() => stack.tcp.listen({ port: 0 }, {})).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }));
  });
});

describe('what waits for the application', () => {
  it('is told in bytes, without the FIN, until it is delivered', () => {
    connect();
    expect(client.connection.unread).toBe(0);
    client.connection.pause();
    server.write(7);
    carry();
    expect(client.connection.unread).toBe(7);
    server.connection.end();
    carry();
    expect(client.connection.unread).toBe(7);
    client.connection.resume();
    expect(client.connection.unread).toBe(0);
    expect(client.events).toEqual(['open', 'data 1..7', 'end']);
  });

  it('tells which ports have listeners', () => {
    const listener = stack.tcp.listen({ port: 8080 }, server);
    expect([stack.tcp.isListening(8080), stack.tcp.isListening(8081)]).toEqual([true, false]);
    listener.close();
    expect(stack.tcp.isListening(8080)).toBe(false);
  });
});

describe('TcpIp.pollAgain', () => {
  it('takes packets as poll does', () => {
    connect();
    client.write(10);
    for (const packet of net.sent()) peerNet.inject(packet);
    expect(peer.pollAgain()).toBe(1);
    expect(server.bytes).toHaveLength(10);
  });

  it('does what was called outside of a poll', () => {
    connect();
    stack.defer = true;
    client.write(10);
    stack.pollAgain();
    expect(net.sent()).toHaveLength(1);
  });

  it('leaves timers to the next poll', () => {
    connect();
    client.write(10);
    expect(net.sent()).toHaveLength(1);
    net.pass(1000);
    expect([stack.pollAgain(), net.sent().length]).toEqual([0, 0]);
    expect(stack.poll()).toBeGreaterThan(0);
    expect(net.sent()).toHaveLength(1);
  });
});
