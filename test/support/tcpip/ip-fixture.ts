/** IP on a fake port, and protocols above it that record what they are given. */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import { Clock } from '../../../src/tcpip/clock.js';
import { Ip, type IpOptions } from '../../../src/tcpip/ip/ip.js';
import type { TransportProtocol } from '../../../src/tcpip/ip/transport.js';
import { type FakePort, type FakePortOptions, openFakePort } from '../../../src/testing/index.js';
import { IP_PROTOCOL_TCP, IP_PROTOCOL_UDP } from '../../../src/wire/ipv4.js';

/** A datagram that a protocol was given. */
export interface Received {
  /** The payload, a copy. */
  payload: number[];
  /** The IP header, a copy. */
  header: number[];
  toUs: boolean;
}

export interface ReceivedError {
  type: number;
  code: number;
  mtu: number;
  /** What the message quotes, a copy. */
  quoted: number[];
}

export class RecordingProtocol implements TransportProtocol {
  readonly received: Received[] = [];
  readonly errors: ReceivedError[] = [];

  receive({ u8 }: MemoryViews, ip: number, transport: number, length: number, toUs: boolean): void {
    const header = [...u8.slice(ip, transport)];
    this.received.push({ payload: [...u8.slice(transport, transport + length)], header, toUs });
  }

  icmpError(type: number, code: number, mtu: number, { u8 }: MemoryViews, quotedIp: number, length: number): void {
    this.errors.push({ type, code, mtu, quoted: [...u8.slice(quotedIp, quotedIp + length)] });
  }
}

export interface IpFixture {
  net: FakePort;
  clock: Clock;
  ip: Ip;
  tcp: RecordingProtocol;
  udp: RecordingProtocol;
  /** Receives packets, and returns the packets that were sent. */
  exchange(...packets: (Uint8Array | number[])[]): Uint8Array[];
  /** Lets time pass, as a stack that polls sees it. */
  pass(ms: number): void;
  /** Polls once. */
  poll(): void;
  /** The counters that are not 0. */
  counted(): Record<string, number>;
}

/** A seeded source of random numbers. */
export function seededRandom(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  };
}

export async function openIp(options: IpOptions = {}, port: Partial<FakePortOptions> = {}): Promise<IpFixture> {
  const net = await openFakePort({ ip: '10.0.0.1/24', gateway: '10.0.0.254', ...port });
  const { core } = net;
  const clock = new Clock(() => core.now());
  const ip = new Ip(core, clock, { random: seededRandom(1), ...options });
  const tcp = new RecordingProtocol();
  const udp = new RecordingProtocol();
  ip.register(IP_PROTOCOL_TCP, tcp);
  ip.register(IP_PROTOCOL_UDP, udp);
  const poll = (): void => {
    clock.read();
    for (let count = core.getRxCount(); count > 0; count--) ip.input(core.getBufferRx()!);
    ip.tick(clock.ms);
  };
  return {
    ...{ net, clock, ip, tcp, udp, poll },
    exchange(...packets) {
      for (const packet of packets) {
        net.inject(Uint8Array.from(packet));
        poll();
      }
      return net.sent();
    },
    pass(ms) {
      net.pass(ms);
      poll();
    },
    counted: () => Object.fromEntries(Object.entries(ip.report()).filter(([, value]) => value !== 0)),
  };
}
