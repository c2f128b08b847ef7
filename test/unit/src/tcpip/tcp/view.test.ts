/** What those who look into a port see of its TCP: connections by state, round trip times, and a list of connections. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ConnectionOrder, ConnectionQuery, ListedConnection } from '../../../../../src/index.js';
import { TcpIp } from '../../../../../src/tcpip/index.js';
import { type FakePort, openFakePort } from '../../../../../src/testing/index.js';
import { checkInvariants } from '../../../../support/tcpip/invariants.js';
import { RecordingApp } from '../../../../support/tcpip/rfc/app.js';

const OWN = '10.0.0.1';
const PEER = '10.0.0.2';
/** How long a connection is in TIME-WAIT here, in ms. */
const TIME_WAIT_MS = 5000;

let net: FakePort;
let peerNet: FakePort;
let stack: TcpIp;
let peer: TcpIp;
let server: RecordingApp;

beforeEach(async () => {
  net = await openFakePort({ ip: `${OWN}/24` });
  peerNet = await openFakePort({ ip: `${PEER}/24` });
  stack = new TcpIp(net.core, { seed: 1, timeWaitMs: TIME_WAIT_MS });
  peer = new TcpIp(peerNet.core, { seed: 2 });
  server = new RecordingApp();
  peer.tcp.listen({ port: 80 }, server);
});

afterEach(async () => {
  stack.stop();
  peer.stop();
  await net.stop();
  await peerNet.stop();
});

/** Carries packets of both stacks, each `ms` after the last one, until there are none. */
function carry(ms = 10): void {
  for (let quiet = 0; quiet < 3; ) {
    stack.poll();
    peer.poll();
    checkInvariants(stack.tcp);
    checkInvariants(peer.tcp);
    const ours = net.sent();
    const theirs = peerNet.sent();
    net.pass(ms);
    peerNet.pass(ms);
    for (const packet of ours) peerNet.inject(packet);
    for (const packet of theirs) net.inject(packet);
    quiet = ours.length + theirs.length === 0 ? quiet + 1 : 0;
  }
}

function begin(port = 80): RecordingApp {
  const client = new RecordingApp();
  client.begin(stack.tcp.connect({ address: PEER, port, noDelay: true }, client));
  return client;
}

function connect(): RecordingApp {
  const client = begin();
  carry();
  return client;
}

async function figures(port = net.port) {
  const [own] = await port.tcp();
  return own!;
}

/** The states of the connections of a port, without those that none has. */
async function states(port = net.port): Promise<Record<string, number>> {
  return Object.fromEntries(Object.entries((await figures(port)).states).filter(([, count]) => count !== 0));
}

const list = (query: Partial<ConnectionQuery> = {}) => net.port.connections({ limit: 10, sort: 'bytes', ...query });

describe('connections by state', () => {
  it('have all states but CLOSED and LISTEN', async () => {
    expect((await figures()).states).toEqual({
      ...{ 'SYN-SENT': 0, 'SYN-RECEIVED': 0, ESTABLISHED: 0, 'FIN-WAIT-1': 0, 'FIN-WAIT-2': 0 },
      ...{ 'CLOSE-WAIT': 0, CLOSING: 0, 'LAST-ACK': 0, 'TIME-WAIT': 0 },
    });
  });

  it('follow a connection from SYN-SENT to the end of TIME-WAIT', async () => {
    const client = begin();
    expect(await states()).toEqual({ 'SYN-SENT': 1 });
    stack.poll();
    for (const packet of net.sent()) peerNet.inject(packet);
    peer.poll();
    expect(await states(peerNet.port)).toEqual({ 'SYN-RECEIVED': 1 });
    carry();
    expect([await states(), await states(peerNet.port)]).toEqual([{ ESTABLISHED: 1 }, { ESTABLISHED: 1 }]);
    client.connection.end();
    expect(await states()).toEqual({ 'FIN-WAIT-1': 1 });
    carry();
    expect([await states(), await states(peerNet.port)]).toEqual([{ 'FIN-WAIT-2': 1 }, { 'CLOSE-WAIT': 1 }]);
    server.connection.end();
    expect(await states(peerNet.port)).toEqual({ 'LAST-ACK': 1 });
    carry();
    expect([await states(), await states(peerNet.port)]).toEqual([{ 'TIME-WAIT': 1 }, {}]);
    expect((await list()).connections).toMatchObject([{ state: 'TIME-WAIT', remote: `${PEER}:80`, bytesOut: 0 }]);
    net.pass(TIME_WAIT_MS);
    stack.poll();
    expect(await states()).toEqual({});
    expect(await list()).toEqual({ total: 0, connections: [] });
  });

  it('have CLOSING when both sides end at a time, and none after a reset or a refusal', async () => {
    const client = connect();
    const other = connect();
    const accepted = server.connection;
    other.connection.end();
    accepted.end();
    stack.poll();
    peer.poll();
    const [ours, theirs] = [net.sent(), peerNet.sent()];
    for (const packet of ours) peerNet.inject(packet);
    for (const packet of theirs) net.inject(packet);
    stack.poll();
    expect(await states()).toEqual({ ESTABLISHED: 1, CLOSING: 1 });
    carry();
    expect(await states()).toEqual({ ESTABLISHED: 1, 'TIME-WAIT': 1 });
    client.connection.abort();
    const refused = begin(81);
    carry();
    expect(refused.events).toEqual(['close ECONNREFUSED']);
    expect(await states()).toEqual({ 'TIME-WAIT': 1 });
    stack.stop();
    expect(await states()).toEqual({ 'TIME-WAIT': 1 });
  });

  it('have TIME-WAIT also while the application does not read', async () => {
    const client = connect();
    client.connection.pause();
    server.write(10);
    client.connection.end();
    server.connection.end();
    carry();
    expect(await states()).toEqual({ 'TIME-WAIT': 1 });
    client.connection.resume();
    carry();
    expect(client.events.at(-1)).toBe('close');
    expect(await states()).toEqual({ 'TIME-WAIT': 1 });
  });
});

describe('round trip times', () => {
  it('have those of the handshake and of data', async () => {
    const client = connect();
    client.write(10);
    carry();
    const { rtt } = await figures();
    expect(rtt.count).toBe(2);
    expect(rtt.counts).toHaveLength(32);
    expect(rtt.counts.reduce((sum, count) => sum + count)).toBe(2);
    // Each way takes 10 ms; so both samples are in the bucket of 16.4 to 32.8 ms.
    expect(rtt.counts[15]).toBe(2);
    expect(rtt.sum).toBeCloseTo(0.04, 2);
  });

  it('of a segment that was sent again begin at the last time', async () => {
    const client = connect();
    client.write(10);
    stack.poll();
    net.sent();
    net.pass(3000);
    carry();
    expect(client.connection.info().retransmitted).toBeGreaterThan(0);
    // Timestamps tell which transmission was acknowledged.
    expect((await figures()).rtt.counts[15]).toBe(2);
  });
});

describe('the list of connections', () => {
  const remotes = ({ connections }: { connections: readonly ListedConnection[] }): number[] =>
    connections.map(({ local }) => Number(local.split(':')[1]));

  it('has what is known of each', async () => {
    const client = connect();
    client.write(1000);
    server.write(70);
    carry();
    const { total, connections } = await list();
    expect(total).toBe(1);
    const info = client.connection.info();
    expect(connections).toEqual([
      {
        ...{ core: 0, local: `${OWN}:${client.connection.localPort}`, remote: `${PEER}:80`, state: 'ESTABLISHED' },
        ...{ rtt: info.rtt, rttVariance: info.rttVariance, minRtt: info.minRtt, mss: 1460 - 12 },
        ...{ congestionWindow: info.congestionWindow, slowStartThreshold: null, inFlight: 0, unsent: 0 },
        ...{ sendWindow: info.sendWindow, receiveWindow: info.receiveWindow, retransmitted: 0 },
        ...{ bytesIn: 70, bytesOut: 1000, congestion: 'cubic' },
      },
    ]);
    expect(connections[0]!.rtt).toBeGreaterThan(5);
  });

  it('begins with the largest, by bytes, RTT, retransmissions, unsent bytes or state', async () => {
    const [small, large, slow] = [connect(), connect(), connect()];
    const ports = { small: 0, large: 0, slow: 0, opening: 0 };
    for (const [name, client] of Object.entries({ small, large, slow }))
      ports[name as keyof typeof ports] = client.connection.localPort;
    const { opening } = { opening: begin(82) };
    ports.opening = opening.connection.localPort;
    expect((await list({ sort: 'state' })).connections.map(({ state }) => state)).toEqual([
      ...['ESTABLISHED', 'ESTABLISHED', 'ESTABLISHED', 'SYN-SENT'],
    ]);
    opening.connection.abort();
    small.write(1);
    large.write(5000);
    carry();
    slow.write(100);
    carry(200);
    // Its segment is lost.
    large.write(100);
    stack.poll();
    net.sent();
    net.pass(3000);
    carry();
    // More than the windows.
    small.write(200_000);
    const first = async (sort: ConnectionOrder) => remotes(await list({ sort, limit: 1 }));
    expect(await first('bytes')).toEqual([ports.large]);
    expect(await first('rtt')).toEqual([ports.slow]);
    expect(await first('retransmitted')).toEqual([ports.large]);
    expect(await first('unsent')).toEqual([ports.small]);
    expect(await list({ limit: 2 })).toMatchObject({ total: 3, connections: [{}, {}] });
  });

  it('has connections in TIME-WAIT last, the newest first', async () => {
    const clients = [connect(), connect(), connect()];
    const ports = clients.map(({ connection }) => connection.localPort);
    for (const client of clients.slice(0, 2)) {
      client.connection.abort();
    }
    carry();
    const ended = [0, 1].map(() => {
      const client = connect();
      const { localPort } = client.connection;
      client.connection.end();
      server.connection.end();
      carry();
      return localPort;
    });
    for (const sort of ['bytes', 'rtt', 'retransmitted', 'unsent', 'state'] as const)
      expect(remotes(await list({ sort }))).toEqual([ports[2], ended[1], ended[0]]);
    expect(remotes(await list({ limit: 2 }))).toEqual([ports[2], ended[1]]);
  });

  it('lets connections come and go while it is made', async () => {
    const clients = Array.from({ length: 20 }, () => connect());
    const making = list({ limit: 5 });
    for (const client of clients) client.connection.abort();
    carry();
    expect((await making).connections).toEqual([]);
  });

  it('goes through more rows than one turn of the event loop has', async () => {
    const { total, connections } = await withMany(20_000);
    expect(total).toBe(40_000);
    // Both ends of the one that has sent.
    expect(connections.map(({ bytesIn, bytesOut }) => bytesIn + bytesOut)).toEqual([777, 777, 0]);
  });

  it('is refused for a wrong limit or order', async () => {
    await expect(list({ limit: 0 })).rejects.toThrow('connections: limit is 0, not a whole number from 1 on');
    await expect(list({ limit: Number.NaN })).rejects.toThrow('connections: limit is NaN');
    await expect(list({ sort: 'toString' as ConnectionOrder })).rejects.toThrow(
      "connections: sort is 'toString', none of bytes, rtt, retransmitted, unsent, state",
    );
  });

  it('is empty, and there are no figures, without a TCP/IP stack of ours', async () => {
    const bare = await openFakePort({ ip: '10.0.0.9/24' });
    expect(await bare.port.tcp()).toEqual([null]);
    expect(await bare.port.connections({ limit: 1, sort: 'rtt' })).toEqual({ total: 0, connections: [] });
    await bare.stop();
  });
});

/** A list of a stack with `count` connections to itself, the last of which has sent 777 bytes. */
async function withMany(count: number) {
  const port = await openFakePort({ ip: '10.0.0.8/24' });
  const many = new TcpIp(port.core, { seed: 3, maxConnections: 2 * count });
  many.tcp.listen({ port: 80, backlog: count }, {});
  for (let i = 0; i < count; i++) {
    const isLast = i === count - 1;
    many.tcp.connect({ address: '10.0.0.8', port: 80 }, isLast ? { open: (c) => c.write(new Uint8Array(777)) } : {});
    if (i % 100 === 99) for (let polls = 0; polls < 8; polls++) many.poll();
  }
  for (let polls = 0; polls < 100; polls++) many.poll();
  const result = await port.port.connections({ limit: 3, sort: 'bytes' });
  many.stop();
  await port.stop();
  return result;
}
