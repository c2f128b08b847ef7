/**
 * A server under attack: a stack that echoes, a client with connections of its own that behaves well, and an attacker
 * who can send any segment. Time is virtual. What the client gets through is counted, so that a test can tell the loss
 * that others see.
 */
import { TcpIp, type TcpIpOptions } from '../../../../src/tcpip/index.js';
import type { ListenOptions } from '../../../../src/tcpip/tcp/open-options.js';
import type { Connection, TcpHandlers } from '../../../../src/tcpip/tcp/state/api.js';
import { neighbourMac } from '../../../../src/testing/fake-port.js';
import { writeU16 } from '../../../../src/wire/bytes.js';
import { internetChecksum } from '../../../../src/wire/checksum.js';
import { ETH_HEADER_BYTES, ETHERTYPE_IPV4_WORD, macWords, writeEthHeader } from '../../../../src/wire/ethernet.js';
import { ICMP_CHECKSUM, ICMP_HEADER_BYTES, ICMP_NEXT_HOP_MTU } from '../../../../src/wire/icmp.js';
import { IP_PROTOCOL_ICMP, IP_PROTOCOL_TCP, IPV4_HEADER_BYTES, writeIpv4Header } from '../../../../src/wire/ipv4.js';
import { TCP_HEADER_BYTES, tcpAcknowledgement, tcpDestinationPort, tcpSequence } from '../../../../src/wire/tcp.js';
import { checkInvariants } from '../invariants.js';
import { NO_SEGMENT, type SegmentFields, writeSegment } from './segment-fields.js';
import { join, openStation, STATIONS, type Station, stationAddress } from './station.js';

export const ECHO_PORT = 7;
/** Where attackers come from: behind the gateway. */
export const ATTACKER = 0x0b000001;
const STEP_MS = 1;
const FRAME_BYTES = 2048;
const CHUNK = 1000;
/** Polls per ms, and frames that may wait for the next ms. */
const ROUNDS = 4;
const BURST = 16;

export interface SiegeOptions extends TcpIpOptions {
  readonly listen?: Partial<ListenOptions>;
  /** The server's application. Default: it echoes, and ends with the peer. */
  readonly handlers?: TcpHandlers;
}

/** A connection of the client, which sends a chunk whenever one has come back. */
export class EchoClient {
  echoed = 0;
  isOpen = false;
  error: Error | null = null;
  isClosed = false;
  connection: Connection;
  private readonly data = new Uint8Array(CHUNK);

  constructor(net: TcpIp, address: string) {
    const handlers: TcpHandlers = {
      open: (connection) => {
        this.isOpen = true;
        connection.write(this.data);
      },
      data: (connection, _bytes, _offset, length) => {
        this.echoed += length;
        connection.write(this.data, 0, length);
      },
      close: (_connection, error) => {
        this.isClosed = true;
        this.error = error;
      },
    };
    this.connection = net.tcp.connect({ address, port: ECHO_PORT, noDelay: true }, handlers);
  }
}

export async function layUpSiege(options: SiegeOptions = {}): Promise<Siege> {
  const time = { now: 1 };
  const server = await openStation({ number: 1, time, buffers: 4096 });
  const client = await openStation({ number: 2, time, buffers: 4096 });
  join(server, client);
  return new Siege(time, server, client, options);
}

export class Siege {
  readonly net: TcpIp;
  readonly clientNet: TcpIp;
  /** Data and options of the attacker's next segments. */
  readonly payload = new Uint8Array(1460);
  readonly options = new Uint8Array(40);
  /** The last segment that the server has sent to each port of an attacker. */
  readonly answers = new Map<number, { seq: number; ack: number }>();
  private readonly memory;
  private readonly gateway = macWords(neighbourMac(stationAddress(STATIONS)));

  constructor(
    readonly time: { now: number },
    readonly server: Station,
    readonly client: Station,
    options: SiegeOptions,
  ) {
    const { listen, handlers, ...stack } = options;
    const buffer = new ArrayBuffer(FRAME_BYTES);
    this.memory = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
    this.net = new TcpIp(server.core, { seed: 1, maxConnections: 1024, ...stack });
    this.clientNet = new TcpIp(client.core, { seed: 2, maxConnections: 65_536 });
    const echo: TcpHandlers = {
      data: (connection, bytes, offset, length) => void connection.write(bytes, offset, length),
      end: (connection) => connection.end(),
    };
    this.net.tcp.listen({ port: ECHO_PORT, noDelay: true, ...listen }, handlers ?? echo);
  }

  /** Opens a connection of the client, and waits until it is open. */
  connect(): EchoClient {
    const one = new EchoClient(this.clientNet, this.server.address);
    for (let i = 0; i < 10 && !one.isOpen; i++) this.run(1);
    return one;
  }

  /** Notes what the server answers to ports of an attacker. */
  listen(): void {
    const { device } = this.server;
    const { u8 } = device.memory;
    const tcp = ETH_HEADER_BYTES + IPV4_HEADER_BYTES;
    device.onFrame = (at) => {
      this.answers.set(tcpDestinationPort(u8, at + tcp), {
        seq: tcpSequence(u8, at + tcp),
        ack: tcpAcknowledgement(u8, at + tcp),
      });
    };
  }

  /** The server receives a segment. Without a sender it is from the attacker. */
  attack(fields: Partial<SegmentFields>): void {
    const all = { ...NO_SEGMENT, remote: ATTACKER, remotePort: 1000, localPort: ECHO_PORT, window: 1000, ...fields };
    const { memory, server } = this;
    const length = writeSegment(memory, ETH_HEADER_BYTES, all, this.options, this.payload, server.core.address);
    this.send(length);
  }

  /** The server receives an ICMP error about a segment of its own to the client. */
  icmp(type: number, code: number, mtu: number, to: number, remotePort: number, seq: number): void {
    const { memory, server } = this;
    const { u8 } = memory;
    const icmp = ETH_HEADER_BYTES + IPV4_HEADER_BYTES;
    const quoted = icmp + ICMP_HEADER_BYTES;
    const length = IPV4_HEADER_BYTES + ICMP_HEADER_BYTES + IPV4_HEADER_BYTES + 8;
    const own = server.core.address;
    u8.fill(0, icmp, icmp + ICMP_HEADER_BYTES);
    writeIpv4Header(memory, ETH_HEADER_BYTES, length, IP_PROTOCOL_ICMP, ATTACKER, own);
    writeIpv4Header(memory, quoted, IPV4_HEADER_BYTES + TCP_HEADER_BYTES, IP_PROTOCOL_TCP, own, to);
    writeU16(u8, quoted + IPV4_HEADER_BYTES, ECHO_PORT);
    writeU16(u8, quoted + IPV4_HEADER_BYTES + 2, remotePort);
    for (let i = 0; i < 4; i++) u8[quoted + IPV4_HEADER_BYTES + 4 + i] = seq >>> (24 - 8 * i);
    u8[icmp] = type;
    u8[icmp + 1] = code;
    writeU16(u8, icmp + ICMP_NEXT_HOP_MTU, mtu);
    writeU16(u8, icmp + ICMP_CHECKSUM, internetChecksum(memory, icmp, length - IPV4_HEADER_BYTES));
    this.send(length);
  }

  private send(length: number): void {
    const { memory, server } = this;
    writeEthHeader(memory.u16, 0, macWords(server.port.mac), this.gateway, ETHERTYPE_IPV4_WORD);
    server.device.arrive(memory, 0, ETH_HEADER_BYTES + length);
  }

  /** Lets time pass, and calls `each` once per ms. */
  run(ms: number, each?: () => void): void {
    for (let i = 0; i < ms; i++) {
      each?.();
      this.time.now += STEP_MS;
      this.settle();
    }
  }

  /** Lets much time pass, from timer to timer. */
  pass(ms: number): void {
    const end = this.time.now + ms;
    while (this.time.now < end) {
      const sleep = Math.min(this.net.maxSleepMs(), this.clientNet.maxSleepMs());
      this.time.now += Math.min(end - this.time.now, Math.max(1, sleep));
      this.settle();
    }
  }

  /** Both stacks take all that has come. Not until nothing is left to do: an echo has no end. */
  private settle(): void {
    for (let round = 0; round < ROUNDS || this.server.device.waiting > BURST; round++) {
      this.net.poll();
      this.server.core.flush();
      this.clientNet.poll();
      this.client.core.flush();
    }
  }

  check(): void {
    checkInvariants(this.net.tcp);
    checkInvariants(this.clientNet.tcp);
  }

  async stop(): Promise<void> {
    this.check();
    this.net.stop();
    this.clientNet.stop();
    this.check();
    await this.server.port.stop();
    await this.client.port.stop();
  }
}
