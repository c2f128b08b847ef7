/** What a stack sends to its own address: it comes back to the same stack, and nothing of it reaches the layer below. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Core } from '../../../../src/index.js';
import { type Connection, TcpIp, type TcpIpOptions } from '../../../../src/tcpip/index.js';
import { type FakePort, openFakePort } from '../../../../src/testing/index.js';
import { IP_PROTOCOL_ICMP, IPV4_HEADER_BYTES } from '../../../../src/wire/ipv4.js';
import { icmpEcho } from '../../../support/link/frames.js';
import { checkInvariants } from '../../../support/tcpip/invariants.js';
import { matchPatternAt, writePatternAt } from '../../../support/tcpip/pattern.js';
import { RecordingApp } from '../../../support/tcpip/rfc/app.js';
import { SteppedPort } from '../../../support/threads/stepped-port.js';

const OWN = '10.0.0.1';

let net: FakePort;
let stack: TcpIp;

const open = (options: TcpIpOptions = {}): TcpIp => new TcpIp(net.core, { seed: 1, timeWaitMs: 1000, ...options });

beforeEach(async () => {
  net = await openFakePort({ ip: `${OWN}/24` });
  stack = open();
});

afterEach(async () => {
  stack.stop();
  expect(net.held).toBe(0);
  expect(net.sent()).toEqual([]);
  await net.stop();
});

/** Polls until there is nothing to do now. Returns how often. */
function settle(): number {
  for (let polls = 1; polls < 10_000; polls++) {
    const count = stack.poll();
    checkInvariants(stack.tcp);
    if (count === 0 && stack.maxSleepMs() > 0) return polls;
  }
  throw new Error('the stack has always something to do');
}

/** Lets time pass until nothing is left to do, TIME-WAIT included. */
function finish(): void {
  for (let i = 0; i < 50; i++) {
    settle();
    net.pass(100);
  }
}

const count = (name: string): number => stack.report()[name]!;

/** A connection from the stack to itself, with the two applications. */
function pair(port = 80): { client: RecordingApp; server: RecordingApp; connection: Connection } {
  const server = new RecordingApp();
  const client = new RecordingApp();
  stack.tcp.listen({ port }, server);
  const connection = stack.tcp.connect({ address: OWN, port }, client);
  client.begin(connection);
  settle();
  return { client, server, connection };
}

describe('a TCP connection to the own address', () => {
  it('opens, carries data and closes as any other', () => {
    const { client, server, connection } = pair();
    expect([connection.remoteAddress, connection.remotePort]).toEqual([OWN, 80]);
    expect(server.connection.remotePort).toBe(connection.localPort);
    client.write(10);
    settle();
    server.write(5);
    connection.end();
    settle();
    expect(server.events).toEqual(['open', 'data 1..10', 'end']);
    server.connection.end();
    finish();
    expect(client.events).toEqual(['open', 'data 1..5', 'end', 'close']);
    expect(server.events).toEqual(['open', 'data 1..10', 'end', 'close']);
    expect(count('tcp_connections')).toBe(0);
    expect(count('tcp_time_wait')).toBe(0);
    expect(count('tcp_memory')).toBe(0);
  });

  it('carries a megabyte in both directions at the same time', () => {
    const TOTAL = 1 << 20;
    const chunk = new Uint8Array(1 << 16);
    const got = { client: 0, server: 0 };
    const party = (name: keyof typeof got) => {
      let written = 0;
      const send = (c: Connection): void => {
        while (written < TOTAL) {
          const length = Math.min(chunk.length, TOTAL - written);
          writePatternAt(chunk, 0, length, written);
          const taken = c.write(chunk, 0, length);
          written += taken;
          if (taken < length) return;
        }
        c.end();
      };
      return {
        open: send,
        drain: send,
        data(_: Connection, bytes: Uint8Array, offset: number, length: number) {
          expect(matchPatternAt(bytes, offset, length, got[name])).toBe(length);
          got[name] += length;
        },
      };
    };
    stack.tcp.listen({ port: 80 }, party('server'));
    stack.tcp.connect({ address: OWN, port: 80 }, party('client'));
    settle();
    expect(got).toEqual({ client: TOTAL, server: TOTAL });
    finish();
    expect(count('tcp_connections')).toBe(0);
    expect(count('tcp_retransmitted_segments')).toBe(0);
  });

  it('is refused at a port without a listener', () => {
    const client = new RecordingApp();
    client.begin(stack.tcp.connect({ address: OWN, port: 9 }, client));
    settle();
    expect(client.events).toEqual(['close ECONNREFUSED']);
  });

  it('ends at the other end when one aborts', () => {
    const { client, server, connection } = pair();
    connection.abort();
    expect(client.events).toEqual(['open', 'close']);
    settle();
    expect(server.events).toEqual(['open', 'close ECONNRESET']);
  });

  it('is reset with all others when the stack stops, and leaves no buffer behind', () => {
    const { client, server } = pair();
    client.write(50_000);
    stack.stop();
    expect(client.events.at(-1)).toBe('close');
    expect(server.events.at(-1)).toBe('close');
    expect(net.held).toBe(0);
  });

  it('of a port to itself opens simultaneously (RFC 9293, 3.5), and closes', () => {
    const app = new RecordingApp();
    app.begin(stack.tcp.connect({ address: OWN, port: 7000, localPort: 7000 }, app));
    settle();
    expect(app.state).toBe('ESTABLISHED');
    app.write(3);
    settle();
    app.connection.end();
    finish();
    expect(app.events).toEqual(['open', 'data 1..3', 'end', 'close']);
    expect(count('tcp_connections')).toBe(0);
  });

  it('refuses a flow that has a connection, from both ends', () => {
    const { connection } = pair();
    const again = { address: OWN, port: 80, localPort: connection.localPort };
    expect(() => stack.tcp.connect(again, {})).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }));
    const mirrored = { address: OWN, port: connection.localPort, localPort: 80 };
    expect(() => stack.tcp.connect(mirrored, {})).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }));
  });

  it('ends when the address changes, and what was on the way is dropped', async () => {
    const { client, server } = pair();
    client.write(10);
    await net.port.setAddress('10.0.0.7/24');
    const before = count('tcp_segments_in');
    settle();
    expect([client.events.at(-1), server.events.at(-1)]).toEqual(['close ECONNRESET', 'close ECONNRESET']);
    expect(count('tcp_bad_destination')).toBe(count('tcp_segments_in') - before);
    expect(count('tcp_connections')).toBe(0);
    net.sent();
  });

  it('comes to the listener of the same core, whatever RSS says', () => {
    const port = new SteppedPort({ stackCores: 4, ip: '10.0.0.1/24' });
    const stacks = port.cores.map((core: Core, seed) => new TcpIp(core, { seed }));
    const accepted = stacks.map((own) => {
      const server = new RecordingApp();
      own.tcp.listen({ port: 80 }, server);
      return server;
    });
    for (let i = 0; i < 8; i++) {
      stacks[2]!.tcp.connect({ address: OWN, port: 80, localPort: 40_000 + i }, {});
      stacks[2]!.tcp.connect({ address: OWN, port: 80 }, {});
    }
    const socket = stacks[2]!.udp.bind({ peer: { address: OWN, port: 1 } }, {});
    socket.send(new Uint8Array(1));
    for (const own of stacks) own.poll();
    expect(accepted.map(({ events }) => events.length)).toEqual([0, 0, 16, 0]);
    expect(socket.errors).toBe(1);
    for (const own of stacks) own.stop();
    port.settle();
    expect(port.device.frames).toEqual([]);
  });
});

describe('datagrams to the own address', () => {
  it('come to the socket, also in fragments', () => {
    const lengths: number[] = [];
    const socket = stack.udp.bind({ port: 5 }, { message: (_s, _b, _o, length) => lengths.push(length) });
    socket.send(new Uint8Array(10), 0, 10, net.core.address, 5);
    socket.send(new Uint8Array(9000), 0, 9000, net.core.address | 0, 5);
    expect(lengths).toEqual([]);
    settle();
    expect(lengths).toEqual([10, 9000]);
  });

  it('are refused at a port without a socket', () => {
    const errors: string[] = [];
    const socket = stack.udp.bind({ peer: { address: OWN, port: 99 } }, { error: (_, { code }) => errors.push(code) });
    socket.send(new Uint8Array(3));
    settle();
    expect(errors).toEqual(['ECONNREFUSED']);
  });

  it('wait up to a limit, and what is too much is refused and counted', () => {
    let got = 0;
    const socket = stack.udp.bind({ port: 5 }, { message: () => got++ });
    const sent = Array.from({ length: 200 }, () => socket.send(new Uint8Array(1), 0, 1, net.core.address, 5));
    expect(sent.filter(Boolean)).toHaveLength(128);
    expect(count('ip_loop_full')).toBe(72);
    expect(stack.maxSleepMs()).toBe(0);
    settle();
    expect(got).toBe(128);
    expect(count('ip_loop')).toBe(128);
  });

  it('that are answered without end leave the poll after some rounds', () => {
    let turns = 0;
    const echo = stack.udp.bind(
      { port: 5 },
      {
        message(socket, bytes, offset, length, address, port) {
          turns++;
          socket.send(bytes, offset, length, address, port);
        },
      },
    );
    echo.send(new Uint8Array(1), 0, 1, net.core.address, 5);
    expect(stack.poll()).toBeGreaterThan(0);
    expect(turns).toBeGreaterThan(1);
    expect(turns).toBeLessThan(20);
    expect(stack.maxSleepMs()).toBe(0);
    const before = turns;
    stack.poll();
    expect(turns).toBeGreaterThan(before);
    echo.close();
    settle();
  });

  it('wake a core that sleeps', async () => {
    const socket = stack.udp.bind({ port: 5 }, {});
    const sleep = net.core.waitForPackets();
    socket.send(new Uint8Array(1), 0, 1, net.core.address, 5);
    expect(await sleep).toBe(0);
    settle();
    expect(count('udp_rx') + count('udp_drop_no_handler')).toBe(1);
  });
});

it('answers an echo request that it has sent to itself', () => {
  const { ip } = stack as unknown as { ip: import('../../../../src/tcpip/ip/ip.js').Ip };
  const request = icmpEcho([1, 2, 3, 4]);
  const buffer = ip.begin()!;
  net.core.memory.u8.set(request, buffer.offset + IPV4_HEADER_BYTES);
  ip.send(buffer, IP_PROTOCOL_ICMP, net.core.address | 0, request.length);
  settle();
  expect(count('icmp_echo_replies')).toBe(1);
  expect(count('ip_loop')).toBe(2);
});
