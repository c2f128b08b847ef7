/** Attacks on a stack, and what others lose by them: nothing but the time that the attacker's packets take. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Connection } from '../../../../../src/tcpip/tcp/state/api.js';
import {
  PORTS,
  RCV_ADV,
  RCV_NXT,
  ROW_SHIFT,
  SND_NXT,
  SND_UNA,
  TS_RECENT,
} from '../../../../../src/tcpip/tcp/state/rows.js';
import { writeI32 } from '../../../../../src/wire/bytes.js';
import { ICMP_DESTINATION_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED } from '../../../../../src/wire/icmp.js';
import { TCP_ACK, TCP_FIN, TCP_PSH, TCP_RST, TCP_SYN } from '../../../../../src/wire/tcp.js';
import { Random } from '../../../../fuzz/random.js';
import { partsOf } from '../../../../support/tcpip/invariants.js';
import {
  ATTACKER,
  ECHO_PORT,
  type EchoClient,
  layUpSiege,
  type Siege,
  type SiegeOptions,
} from '../../../../support/tcpip/limits/siege.js';
import { stationAddress } from '../../../../support/tcpip/limits/station.js';

const CLIENT = stationAddress(2);
const FLOOD_MS = 500;
const PER_MS = 50;
/** What an echo client gets through in FLOOD_MS without an attack: a chunk per ms at least. */
const CALM_BYTES = FLOOD_MS * 1000;

let siege: Siege;

async function open(options: SiegeOptions = {}): Promise<EchoClient> {
  siege = await layUpSiege(options);
  const client = siege.connect();
  expect(client.isOpen).toBe(true);
  return client;
}

afterEach(() => siege.stop());

/** The client gets through what it does without an attack. */
function expectUnharmed(client: EchoClient, before: number): void {
  expect(client.error).toBeNull();
  expect(client.isClosed).toBe(false);
  expect(client.echoed - before).toBeGreaterThanOrEqual(CALM_BYTES);
}

/** The words of the server's end of a connection. */
function wordsOf({ connection }: EchoClient): { i32: Int32Array; r: number } {
  const { flows, i32 } = partsOf(siege.net.tcp).table;
  return { i32, r: flows.find(CLIENT, (ECHO_PORT << 16) | connection.localPort) << ROW_SHIFT };
}

/** An attacker completes a handshake from a port. Returns the sequence numbers of its connection. */
function shake(remotePort: number, window: number): { seq: number; ack: number } {
  siege.attack({ remotePort, flags: TCP_SYN, seq: 100, window });
  siege.run(1);
  const { seq } = siege.answers.get(remotePort)!;
  siege.attack({ remotePort, flags: TCP_ACK, seq: 101, ack: (seq + 1) | 0, window });
  return { seq: 101, ack: (seq + 1) | 0 };
}

describe('floods', () => {
  it('of SYNs fill the backlog, and real clients still connect by cookies', async () => {
    const client = await open({ listen: { backlog: 64 } });
    const random = new Random(1);
    const before = client.echoed;
    const later: EchoClient[] = [];
    let ms = 0;
    siege.run(FLOOD_MS, () => {
      for (let i = 0; i < PER_MS; i++) {
        siege.attack({
          remote: ATTACKER + (random.next() & 0xffff),
          remotePort: 1024 + i,
          flags: TCP_SYN,
          seq: random.next(),
        });
      }
      if (++ms % 50 === 0) later.push(siege.connect());
    });
    expectUnharmed(client, before);
    expect(later.filter(({ isOpen, echoed }) => isOpen && echoed > 1000)).toHaveLength(10);
    expect(later[0]!.connection.info()).toMatchObject({ sack: true, timestamps: true });
    const report = siege.net.report();
    expect(report.tcp_connections).toBe(64 + 11);
    expect(report.tcp_cookies_accepted).toBe(10);
    for (const one of later) one.connection.abort();
    client.connection.abort();
    siege.pass(130_000);
    expect(siege.net.report()).toMatchObject({ tcp_connections: 0, tcp_timers: 0, tcp_memory: 0 });
  });

  it('of ACKs with guessed cookies open nothing', async () => {
    const client = await open({ listen: { backlog: 1 } });
    const random = new Random(2);
    for (let i = 0; i < 4; i++) siege.attack({ remotePort: 2000 + i, flags: TCP_SYN });
    const before = client.echoed;
    siege.run(FLOOD_MS, () => {
      for (let i = 0; i < PER_MS; i++) {
        siege.attack({ remotePort: 3000 + i, flags: TCP_ACK, seq: random.next(), ack: random.next() });
      }
    });
    expectUnharmed(client, before);
    const report = siege.net.report();
    expect(report.tcp_cookies_bad).toBe(FLOOD_MS * PER_MS);
    expect(report.tcp_cookies_accepted).toBe(0);
    // RSTs are limited.
    expect(report.tcp_resets_sent).toBeLessThanOrEqual(1500);
    expect(report.tcp_reset_limited).toBeGreaterThan(20_000);
  });

  it('of connections take all rows, and those that are there go on', async () => {
    const client = await open({ maxConnections: 64, listen: { backlog: 16 } });
    siege.listen();
    for (let port = 2000; port < 2063; port++) shake(port, 1000);
    expect(siege.net.report()).toMatchObject({ tcp_connections: 64, tcp_rows_full: 0 });
    for (let port = 3000; port < 3100; port++) siege.attack({ remotePort: port, flags: TCP_SYN });
    siege.run(1);
    expect(siege.net.report()).toMatchObject({ tcp_connections: 64, tcp_rows_full: 100 });
    const before = client.echoed;
    siege.run(FLOOD_MS);
    expectUnharmed(client, before);
  });

  it('of ICMP errors with guessed numbers change nothing', async () => {
    const client = await open();
    const { localPort } = client.connection;
    const { mss } = client.connection.info();
    const random = new Random(3);
    const before = client.echoed;
    siege.run(FLOOD_MS, () => {
      for (let i = 0; i < PER_MS; i++) {
        const { i32, r } = wordsOf(client);
        const seq = i32[r + SND_NXT]! + 1 + (random.next() & 0xffffff);
        siege.icmp(ICMP_DESTINATION_UNREACHABLE, i & 15, 68, CLIENT, localPort, seq);
      }
    });
    expectUnharmed(client, before);
    expect(siege.net.report().tcp_icmp_ignored).toBe(FLOOD_MS * PER_MS);
    expect(client.connection.info().mss).toBe(mss);
  });

  it('of ICMP errors with right numbers make segments small, and end nothing', async () => {
    const client = await open();
    const { localPort } = client.connection;
    siege.run(100, () => {
      const { i32, r } = wordsOf(client);
      for (let code = 0; code < 16; code++) {
        siege.icmp(ICMP_DESTINATION_UNREACHABLE, code, 68, CLIENT, localPort, i32[r + SND_UNA]!);
        siege.icmp(11, code, 0, CLIENT, localPort, i32[r + SND_UNA]!);
      }
      siege.icmp(ICMP_DESTINATION_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED, 0, CLIENT, localPort, i32[r + SND_UNA]!);
    });
    const before = client.echoed;
    siege.run(FLOOD_MS);
    expect(client.isClosed).toBe(false);
    expect(client.echoed - before).toBeGreaterThan(CALM_BYTES / 2);
  });
});

describe('blind segments into a connection', () => {
  it('in and out of the window neither end it nor stop it', async () => {
    const client = await open();
    const remotePort = client.connection.localPort;
    const random = new Random(4);
    const before = client.echoed;
    siege.run(FLOOD_MS, () => {
      const { i32, r } = wordsOf(client);
      for (let i = 0; i < PER_MS; i++) {
        const isNear = (i & 1) === 0;
        // Not the one place that only the peer knows.
        const seq = isNear ? i32[r + RCV_NXT]! + 2000 + random.below(50_000) : random.next();
        const flags = [TCP_RST, TCP_SYN, TCP_RST | TCP_ACK, TCP_SYN | TCP_ACK][i & 3]!;
        siege.attack({ remote: CLIENT, remotePort, flags, seq: seq | 0, ack: random.next() });
        // Data whose acknowledgement is not one that the peer would send.
        const ack = i32[r + SND_NXT]! + 200_000 + random.below(0xffff);
        siege.attack({ remote: CLIENT, remotePort, flags: TCP_ACK | TCP_PSH, seq: seq | 0, ack: ack | 0, length: 10 });
      }
    });
    expectUnharmed(client, before);
    const report = siege.net.report();
    expect(report.tcp_resets_received).toBe(0);
    // The limit is not exact, so that nobody can count.
    expect(report.tcp_challenge_acks).toBeLessThanOrEqual(1500);
    expect(report.tcp_challenge_limited).toBeGreaterThan(0);
  });

  it('that make both ends disagree start no storm of ACKs', async () => {
    siege = await layUpSiege();
    const client = siege.connect();
    siege.run(20);
    // The client sends no more: it has only what comes back to send.
    const { i32, r } = wordsOf(client);
    client.connection.pause();
    siege.run(200);
    const forged = { remote: CLIENT, remotePort: client.connection.localPort, flags: TCP_ACK | TCP_PSH };
    siege.attack({ ...forged, seq: i32[r + RCV_NXT]!, ack: i32[r + SND_NXT]!, length: 100, window: 100 });
    siege.run(5);
    const before = siege.net.report().tcp_segments_out! + siege.clientNet.report().tcp_segments_out!;
    siege.pass(10_000);
    const after = siege.net.report().tcp_segments_out! + siege.clientNet.report().tcp_segments_out!;
    expect(after - before).toBeLessThan(200);
  });
});

describe('resources', () => {
  it('ports of the client run out with an error, and are there again afterwards', async () => {
    siege = await layUpSiege();
    const { tcp } = siege.clientNet;
    const all: Connection[] = [];
    let code: unknown = '';
    try {
      for (;;) all.push(tcp.connect({ address: siege.server.address, port: 9 }, {}));
    } catch (error) {
      code = (error as { code?: unknown }).code;
    }
    expect(code).toBe('EADDRNOTAVAIL');
    expect(all.length).toBe(60_999 - 32_768 + 1);
    expect(siege.clientNet.report().tcp_ports_exhausted).toBe(1);
    // To another port of the server there are as many.
    tcp.connect({ address: siege.server.address, port: 10 }, {}).abort();
    all[0]!.abort();
    tcp.connect({ address: siege.server.address, port: 9 }, {}).abort();
    for (const one of all.slice(1)) one.abort();
    expect(siege.clientNet.report()).toMatchObject({ tcp_connections: 0, tcp_timers: 0 });
  });

  it('memory that peers with closed windows hold does not stop others', { timeout: 60_000 }, async () => {
    const data = new Uint8Array(100_000);
    const written: number[] = [];
    let drained = 0;
    const client = await open({
      memory: 2 ** 22,
      maxConnections: 256,
      handlers: {
        // Attackers ask for much; the client gets its echo.
        data: (connection, bytes, offset, length) => {
          if (connection.remotePort >= 32_768) connection.write(bytes, offset, length);
          else written.push(connection.write(data));
        },
        drain: () => {
          drained++;
        },
      },
    });
    siege.listen();
    const peers = Array.from({ length: 200 }, (_, i) => ({ port: 2000 + i, ...shake(2000 + i, 0) }));
    siege.run(2);
    for (const { port, seq, ack } of peers) {
      siege.attack({ remotePort: port, flags: TCP_ACK | TCP_PSH, seq, ack, window: 0, length: 10 });
    }
    siege.run(2);
    expect(written).toHaveLength(200);
    expect(written).toContain(65_536);
    // The last ones get a little each.
    expect(written.at(-1)).toBeLessThan(65_536);
    expect(siege.net.report().tcp_no_memory).toBeGreaterThan(0);
    expect(siege.net.report().tcp_memory).toBeLessThanOrEqual(2 ** 22);
    const before = client.echoed;
    siege.run(FLOOD_MS);
    expectUnharmed(client, before);
    // New clients, too.
    const later = siege.connect();
    siege.run(50);
    expect(later.echoed).toBeGreaterThan(10_000);
    expect(drained).toBe(0);
    siege.check();
    // The peers are silent: they are given up.
    siege.pass(1_200_000);
    expect(siege.net.report().tcp_timeouts).toBe(200);
    expect(siege.net.report().tcp_connections).toBe(2);
  });

  it('memory that is used up makes writes take nothing, until there is some again', async () => {
    const data = new Uint8Array(2048);
    const opened: Connection[] = [];
    const drained = new Set<Connection>();
    siege = await layUpSiege({
      memory: 2 ** 16,
      handlers: {
        open: (connection) => void opened.push(connection),
        drain: (connection) => void drained.add(connection),
      },
    });
    siege.listen();
    const peers = Array.from({ length: 40 }, (_, i) => ({ port: 2000 + i, ...shake(2000 + i, 0) }));
    siege.run(2);
    const taken = opened.map((connection) => connection.write(data));
    expect(taken).toEqual(Array.from({ length: 40 }, (_, i) => (i < 32 ? 2048 : 0)));
    expect(siege.net.report().tcp_memory).toBe(2 ** 16);
    siege.run(10);
    expect(drained.size).toBe(0);
    for (const { port, seq } of peers.slice(0, 3)) siege.attack({ remotePort: port, flags: TCP_RST, seq });
    siege.run(10);
    // The others that wait are asked, too: whoever writes first gets it.
    expect([...drained]).toEqual(opened.slice(32));
    expect(opened.slice(32).map((connection) => connection.write(data, 0, 100))).toEqual([
      100, 100, 100, 0, 0, 0, 0, 0,
    ]);
    drained.clear();
    opened[0]!.abort();
    opened[5]!.abort();
    siege.run(10);
    expect([...drained]).toEqual(opened.slice(35));
    siege.check();
  });

  it('memory that single bytes out of order hold does not stop others', { timeout: 60_000 }, async () => {
    const client = await open({ memory: 2 ** 20, maxConnections: 256 });
    siege.listen();
    const peers = Array.from({ length: 60 }, (_, i) => ({ port: 2000 + i, ...shake(2000 + i, 1000) }));
    siege.run(2);
    const before = client.echoed;
    let place = 2;
    siege.run(FLOOD_MS, () => {
      for (const { port, seq, ack } of peers) {
        for (let i = 0; i < 4; i++) {
          siege.attack({ remotePort: port, flags: TCP_ACK, seq: (seq + place + 2 * i) | 0, ack, length: 1 });
        }
      }
      place += 8;
    });
    expectUnharmed(client, before);
    const report = siege.net.report();
    expect(report.tcp_no_memory! + report.tcp_intervals_full!).toBeGreaterThan(0);
    expect(report.tcp_out_of_order).toBeGreaterThan(1000);
    expect(report.tcp_memory).toBeLessThanOrEqual(2 ** 20);
    siege.check();
    for (const { port, seq } of peers) siege.attack({ remotePort: port, flags: TCP_RST, seq });
    siege.run(2);
    expect(siege.net.report().tcp_connections).toBe(1);
    expect(siege.net.report().tcp_memory).toBeLessThan(10_000);
  });

  it('intervals of one connection are bounded', { timeout: 60_000 }, async () => {
    const client = await open();
    siege.listen();
    const { seq, ack } = shake(2000, 1000);
    siege.run(2);
    for (let i = 0; i < 10_000; i++) {
      siege.attack({ remotePort: 2000, flags: TCP_ACK, seq: (seq + 1 + 2 * i) | 0, ack, length: 1 });
      if (i % 100 === 0) siege.run(1);
    }
    siege.run(2);
    expect(siege.net.report().tcp_out_of_order).toBe(8192);
    expect(siege.net.report().tcp_intervals_full).toBe(10_000 - 8192);
    const before = client.echoed;
    siege.run(FLOOD_MS);
    expectUnharmed(client, before);
  });

  it('TIME_WAIT is bounded: the oldest entries go', async () => {
    const client = await open({ maxTimeWait: 16, handlers: { data: (connection) => connection.end() } });
    client.connection.abort();
    siege.listen();
    for (let port = 2000; port < 2100; port++) {
      const { seq, ack } = shake(port, 1000);
      siege.attack({ remotePort: port, flags: TCP_ACK | TCP_PSH, seq, ack, length: 10 });
      siege.run(1);
      siege.attack({ remotePort: port, flags: TCP_FIN | TCP_ACK, seq: seq + 10, ack: ack + 1 });
      siege.run(1);
    }
    expect(siege.net.report()).toMatchObject({ tcp_connections: 0, tcp_time_wait: 16, tcp_time_wait_recycled: 84 });
    siege.check();
    siege.pass(61_000);
    siege.net.poll();
    expect(siege.net.report().tcp_time_wait).toBe(0);
  });
});

describe('time', () => {
  it('ends TIME_WAIT also for a stack that nobody has polled', async () => {
    const client = await open();
    const { localPort } = client.connection;
    client.connection.end();
    siege.run(50);
    expect(siege.clientNet.report()).toMatchObject({ tcp_connections: 0, tcp_time_wait: 1 });
    const again = { address: siege.server.address, port: ECHO_PORT, localPort };
    expect(() => siege.clientNet.tcp.connect(again, {})).toThrow(/has a connection/);
    siege.time.now += 61_000;
    siege.clientNet.tcp.connect(again, {});
    expect(siege.clientNet.report()).toMatchObject({ tcp_connections: 1, tcp_time_wait: 0 });
  });
});

describe('strange peers', () => {
  const BYTES = 30_000;

  /** A server that sends at once; an attacker that reads it in its own way. */
  async function openSender(length = BYTES): Promise<{ seq: number; ack: number }> {
    const data = new Uint8Array(length).fill(7);
    siege = await layUpSiege({ handlers: { open: (connection) => void connection.write(data) } });
    siege.listen();
    return shake(2000, 5000);
  }

  /** Acknowledges what has come, and offers a window. */
  function acknowledge(seq: number, ack: number, window: number): void {
    siege.attack({ remotePort: 2000, flags: TCP_ACK, seq, ack, window });
    siege.run(1);
  }

  const row = (): number => partsOf(siege.net.tcp).table.flows.find(ATTACKER, (ECHO_PORT << 16) | 2000) << ROW_SHIFT;
  const word = (name: number): number => partsOf(siege.net.tcp).table.i32[row() + name]!;

  /** Reads all that is left with an ordinary window. */
  function expectRest(seq: number, ack: number): void {
    for (let i = 0; i < 2000 && ((word(SND_UNA) - ack) | 0) < BYTES; i++) {
      acknowledge(seq, word(SND_NXT), 5000);
      siege.pass(100);
    }
    expect((word(SND_UNA) - ack) | 0).toBe(BYTES);
  }

  it('that announce windows of 1 get a byte per probe, and all in the end', async () => {
    const { seq, ack } = await openSender();
    siege.run(2);
    acknowledge(seq, word(SND_NXT), 1);
    const before = word(SND_UNA);
    const segments = siege.net.report().tcp_segments_out!;
    for (let i = 0; i < 100; i++) {
      acknowledge(seq, word(SND_NXT), 1);
      siege.pass(1000);
    }
    // Silly windows are not filled at once (RFC 9293, 3.8.6.2.1).
    expect((word(SND_UNA) - before) | 0).toBeGreaterThanOrEqual(98);
    expect(siege.net.report().tcp_segments_out! - segments).toBeLessThan(500);
    siege.check();
    expectRest(seq, ack);
  });

  it('that read a byte at a time get everything, in few segments', async () => {
    const length = 8000;
    const { seq, ack } = await openSender(length);
    siege.run(2);
    const before = siege.net.report().tcp_segments_out!;
    // What has come lies in a buffer of 5000 bytes. The peer takes it byte by byte, and says so for each.
    for (let read = 0; read < length; read++) {
      const come = (word(SND_NXT) - ack) | 0;
      expect(come).toBeGreaterThanOrEqual(read);
      acknowledge(seq, (ack + come) | 0, 5000 - (come - read));
    }
    expect((word(SND_UNA) - ack) | 0).toBe(length);
    // Its window is used when a full segment of 536 bytes fits (RFC 9293, 3.8.6.2.1).
    expect(siege.net.report().tcp_segments_out! - before).toBeLessThanOrEqual(length / 500);
    siege.check();
  });

  it('that shrink their window get the rest when they open it again', async () => {
    const { seq, ack } = await openSender();
    siege.run(2);
    const sent = (word(SND_NXT) - ack) | 0;
    expect(sent).toBeGreaterThan(2000);
    for (const window of [1000, 0, 10, 0, 2000, 0]) {
      acknowledge(seq, (ack + 536) | 0, window);
      siege.pass(3000);
      siege.check();
    }
    // Nothing new goes out beyond the edge, and the connection lives.
    expect((word(SND_NXT) - ack) | 0).toBeGreaterThanOrEqual(sent);
    expectRest(seq, ack);
  });

  it('that send other contents for the same bytes cannot change what was delivered', async () => {
    const got: number[] = [];
    siege = await layUpSiege({
      handlers: { data: (_c, bytes, offset, length) => void got.push(...bytes.subarray(offset, offset + length)) },
    });
    siege.listen();
    const { seq, ack } = shake(2000, 1000);
    const random = new Random(5);
    // Each byte is its place, plus 100 for another content.
    const sendAt = (place: number, length: number, add: number): void => {
      for (let i = 0; i < length; i++) siege.payload[i] = ((place + i) % 100) + add;
      siege.attack({ remotePort: 2000, flags: TCP_ACK, seq: (seq + place) | 0, ack, length });
      siege.run(1);
    };
    for (let i = 0; i < 300; i++) {
      sendAt(random.below(900), 1 + random.below(100), 100 * random.below(2));
      siege.check();
    }
    const before = got.length;
    const first = [...got];
    for (let place = 0; place < 1000; place += 50) sendAt(place, 50, 0);
    expect(got).toHaveLength(1000);
    expect(got.slice(0, before)).toEqual(first);
    expect(got.map((byte) => byte % 100)).toEqual(got.map((_, place) => place % 100));
  });

  it('that send data behind their FIN, or a FIN before data, end at one place', async () => {
    const seen: string[] = [];
    siege = await layUpSiege({
      handlers: {
        data: (_c, _bytes, _offset, length) => void seen.push(`${length}`),
        end: () => void seen.push('end'),
      },
    });
    siege.listen();
    const { seq, ack } = shake(2000, 1000);
    const sendAt = (place: number, length: number, flags: number): void => {
      siege.attack({ remotePort: 2000, flags: TCP_ACK | flags, seq: (seq + place) | 0, ack, length });
      siege.run(1);
      siege.check();
    };
    // A FIN in front of bytes that have come is not believed; one behind them is.
    sendAt(20, 10, 0);
    sendAt(10, 5, TCP_FIN);
    sendAt(20, 20, TCP_FIN);
    sendAt(50, 10, 0);
    sendAt(30, 30, TCP_FIN);
    expect(seen).toEqual([]);
    sendAt(0, 60, 0);
    expect(seen.join(' ')).toMatch(/^[\d ]+ end$/);
    expect(seen.slice(0, -1).reduce((sum, length) => sum + Number(length), 0)).toBe(40);
  });

  it('that open a flow in TIME_WAIT anew must send a SYN without FIN', async () => {
    siege = await layUpSiege({ handlers: { open: (connection) => connection.end(), end: () => {} } });
    siege.listen();
    const { seq, ack } = shake(2000, 1000);
    siege.run(1);
    siege.attack({ remotePort: 2000, flags: TCP_FIN | TCP_ACK, seq, ack: ack + 1 });
    siege.run(1);
    expect(siege.net.report()).toMatchObject({ tcp_connections: 0, tcp_time_wait: 1 });
    siege.attack({ remotePort: 2000, flags: TCP_SYN | TCP_FIN, seq: seq + 1000 });
    siege.run(1);
    expect(siege.net.report()).toMatchObject({ tcp_connections: 0, tcp_time_wait: 1, tcp_time_wait_reused: 0 });
    siege.attack({ remotePort: 2000, flags: TCP_SYN, seq: seq + 1000 });
    siege.run(1);
    expect(siege.net.report()).toMatchObject({ tcp_connections: 1, tcp_time_wait: 0, tcp_time_wait_reused: 1 });
  });

  it.each([
    ['unacknowledged data', {}, 'write', 1_000_000],
    ['unacknowledged data and a user timeout', { userTimeout: 5000 }, 'write', 20_000],
    ['nothing to say and keep-alive', { keepAlive: 10_000 }, 'nothing', 800_000],
    ['a half-closed connection', {}, 'end', 800_000],
  ])('that fall silent are given up: %s', async (_, listen, what, ms) => {
    const errors: (string | undefined)[] = [];
    siege = await layUpSiege({
      listen,
      handlers: {
        open: (connection) => {
          if (what === 'write') connection.write(new Uint8Array(100));
          if (what === 'end') connection.end();
        },
        close: (_connection, error) => void errors.push((error as { code?: string } | null)?.code),
      },
    });
    siege.listen();
    const { seq, ack } = shake(2000, 1000);
    siege.run(2);
    if (what === 'end') siege.attack({ remotePort: 2000, flags: TCP_ACK, seq, ack: ack + 1 });
    siege.run(2);
    siege.pass(ms);
    expect(errors).toEqual(['ETIMEDOUT']);
    expect(siege.net.report()).toMatchObject({ tcp_connections: 0, tcp_timers: 0, tcp_memory: 0 });
  });

  it('cannot use PAWS against a connection from outside of the window', async () => {
    const client = await open();
    const remotePort = client.connection.localPort;
    const before = client.echoed;
    siege.run(FLOOD_MS, () => {
      const { i32, r } = wordsOf(client);
      siege.options.set([1, 1, 8, 10]);
      writeI32(siege.options, 4, i32[r + TS_RECENT]! + 0x10000000);
      // An attacker outside of the window does not set TS.Recent, and PAWS does not stop the client.
      const seq = (i32[r + RCV_ADV]! + 100_000) | 0;
      siege.attack({ remote: CLIENT, remotePort, flags: TCP_ACK, seq, ack: i32[r + SND_NXT]!, optionBytes: 12 });
    });
    expectUnharmed(client, before);
    expect(siege.net.report().tcp_out_of_window).toBeGreaterThanOrEqual(FLOOD_MS - 1);
    expect(wordsOf(client).i32[wordsOf(client).r + PORTS]! >>> 16).toBe(ECHO_PORT);
  });
});
