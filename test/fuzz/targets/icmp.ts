/**
 * ICMP messages, and packets that are answered with one, through IP and UDP on a core. Each case runs twice, with other
 * bytes behind the packets: an outcome that differs has read what the length does not cover.
 */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import { SingleCore } from '../../../src/link/single-core.js';
import { Clock } from '../../../src/tcpip/clock.js';
import { IP, IP_COUNTERS } from '../../../src/tcpip/ip/counters.js';
import { Ip } from '../../../src/tcpip/ip/ip.js';
import type { TransportProtocol } from '../../../src/tcpip/ip/transport.js';
import { Udp } from '../../../src/tcpip/udp/udp.js';
import { FakeDevice } from '../../../src/testing/fake-device.js';
import { isIpv4Multicast } from '../../../src/wire/address.js';
import { isIcmpError, isIcmpIntact } from '../../../src/wire/icmp.js';
import { isIpv4Intact, wireMemory } from '../../../src/wire/index.js';
import { naiveChecksum } from '../../support/link/frames.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const MAX_PACKETS = 6;
const MAX_BYTES = 200;
const US = [10, 0, 0, 1];
const PEERS = [
  [10, 0, 0, 2],
  [10, 0, 0, 254],
  [192, 0, 2, 1],
  [10, 0, 0, 255],
];
const DESTINATIONS = [US, US, US, [10, 0, 0, 255], [224, 0, 0, 1], [10, 0, 0, 2]];
const PROTOCOLS = [1, 1, 1, 1, 17, 6, 99];
const TYPES = [8, 3, 3, 3, 11, 12, 0, 4, 5, 13, 99];
const LOCAL_PORT = 4000;
const PEER_PORT = 7;
/** Everything that a received ICMP message can be counted as. */
const OUTCOMES = [
  IP.icmp_drop_malformed,
  IP.icmp_drop_broadcast,
  IP.icmp_drop_type,
  IP.icmp_drop_quote,
  IP.icmp_drop_protocol,
  IP.icmp_rx_errors,
];

export const icmp: FuzzTarget = {
  name: 'icmp',
  summary:
    'ICMP and what is answered with it, through IP and UDP: counted once, answers allowed and sound, no over-read',
  maxBytes: 384,
  prepare(feedback) {
    const packets: { bytes: Uint8Array; length: number; wait: number }[] = [];
    for (let i = 0; i < MAX_PACKETS; i++) packets.push({ bytes: new Uint8Array(512), length: 0, wait: 0 });

    /** Receives the packets over memory full of `poison`; returns what happened. */
    const feed = (count: number, poison: number): { log: number[]; values: number[] } => {
      const log: number[] = [];
      const device = new FakeDevice({ buffers: 24 });
      device.memory.u32.fill(poison);
      let now = 0;
      const core = new SingleCore(device, {
        address: 0x0a000001,
        prefixLength: 24,
        gateway: 0x0a0000fe,
        neighbours: new Map([
          [0x0a000002, Uint8Array.of(2, 0, 0, 0, 0, 2)],
          [0x0a0000fe, Uint8Array.of(2, 0, 0, 0, 0, 254)],
        ]),
        acceptBroadcast: true,
        acceptMulticast: true,
        clock: () => now,
      });
      const clock = new Clock(() => now);
      let random = 1;
      const ip = new Ip(core, clock, {
        datagrams: 2,
        random: () => (random = Math.imul(random, 0x9e3779b1) + 1),
      });
      const tcp: TransportProtocol = {
        receive: (memory, header, transport, length) => log.push(6, transport - header, sum(memory, transport, length)),
        icmpError: (type, code, mtu, memory, quoted, length) => {
          check(type === 3 || type === 11 || type === 12, `type ${type} is handed on`);
          check(mtu > 0 === (type === 3 && code === 4) && mtu <= 0xffff, `an MTU of ${mtu}`);
          check(
            length >= 28 && US.every((byte, i) => memory.u8[quoted + 12 + i] === byte),
            'a packet that is not ours',
          );
          log.push(type, code, mtu, sum(memory, quoted, length));
        },
      };
      ip.register(6, tcp);
      const udp = new Udp(core, ip, { maxSockets: 2 });
      udp.bind(
        { port: LOCAL_PORT, peer: { address: '10.0.0.2', port: PEER_PORT } },
        {
          message: (_, bytes, offset, length, address, port) =>
            log.push(17, length, address, port, length > 0 ? bytes[offset]! : 0),
          error: (_, { code }) => log.push(code.length, code.charCodeAt(1)),
        },
      );
      for (let i = 0; i < count; i++) {
        const { bytes, length, wait } = packets[i]!;
        now += wait;
        clock.read();
        const frame = new Uint8Array(14 + length);
        frame.set([...device.mac, 2, 0, 0, 0, 0, 9, 8, 0]);
        if (bytes[16]! >= 224) frame.set([1, 0, 0x5e, bytes[17]! & 0x7f, bytes[18]!, bytes[19]!]);
        if (bytes[19] === 255) frame.fill(0xff, 0, 6);
        frame.set(bytes.subarray(0, length), 14);
        const sentBefore = device.frames.length;
        check(device.inject(frame), 'buffers are lost');
        for (let left = core.getRxCount(); left > 0; left--) ip.input(core.getBufferRx()!);
        ip.tick(clock.ms);
        core.flush();
        const sent = device.frames.slice(sentBefore).filter((each) => each[12] === 8 && each[13] === 0);
        check(sent.length <= 1, `${sent.length} answers to one packet`);
        for (const answer of sent) checkAnswer(answer.slice(14), bytes, log);
      }
      const free = device.pool.available + core.held().parked;
      check(free === 24, `${24 - free} buffers are lost`);
      const report = ip.report();
      const values = IP_COUNTERS.map((name) => report[name]!);
      let counted = values[IP.icmp_echo_replies]!;
      for (const outcome of OUTCOMES) counted += values[outcome]!;
      check(counted === values[IP.icmp_rx], `${values[IP.icmp_rx]} messages, ${counted} in the counters`);
      const lowest = Math.min(...[0x0a000002, 0x0a0000fe].map((address) => ip.pathMtu(address)));
      check(lowest >= 552 && lowest <= core.mtu, `an MTU of ${lowest}`);
      log.push(lowest, ...values, ...Object.values(udp.report()));
      return { log, values };
    };

    const run = (input: Input): void => {
      let count = 0;
      while (count < MAX_PACKETS && input.left > 0) {
        const packet = packets[count++]!;
        packet.wait = (input.u8() & 7) * 100;
        packet.length = build(input, packet.bytes);
      }
      const first = feed(count, 0);
      const second = feed(count, 0xffff_ffff);
      check(first.log.join() === second.log.join(), 'bytes behind a packet decide what happens');
      for (let i = 0; i < first.values.length; i++) {
        if (first.values[i]! > 0) feedback.mark(i * 4 + Math.min(first.values[i]!, 3));
      }
    };
    return { run };
  },
};

/** What we send must be intact, come from us, go to one host, and be an echo reply or an allowed error. */
function checkAnswer(packet: Uint8Array, request: Uint8Array, log: number[]): void {
  const memory = wireMemory(packet);
  check(isIpv4Intact(memory, 0, packet.length), 'the answer is not intact');
  check(US.every((byte, i) => packet[12 + i] === byte) && packet[8] === 64, 'the answer is not from us');
  check(packet[9] === 1 && isIcmpIntact(memory, 20, packet.length - 20), 'the answer is not ICMP');
  const to = (packet[16]! << 24) | (packet[17]! << 16) | (packet[18]! << 8) | packet[19]!;
  check(!isIpv4Multicast(to) && to !== 0x0a0000ff, 'the answer goes to a group');
  check(
    US.every((byte, i) => request[16 + i] === byte),
    'an answer to a group',
  );
  if (isIcmpError(packet[20]!)) {
    const icmpAt = (request[0]! & 15) * 4;
    check(!(request[9] === 1 && isIcmpError(request[icmpAt]!)), 'an error about an error');
    check((request[6]! & 0x1f) === 0 && request[7] === 0, 'an error about a later fragment');
  } else {
    check(packet[20] === 0, `an answer of type ${packet[20]}`);
  }
  log.push(packet.length, sum(memory, 0, packet.length));
}

function sum({ u8 }: Pick<MemoryViews, 'u8'>, at: number, length: number): number {
  let value = length;
  for (let i = 0; i < length; i++) value = (Math.imul(value, 31) + u8[at + i]!) | 0;
  return value;
}

/** Makes a packet; returns its length. */
function build(input: Input, to: Uint8Array): number {
  to.fill(0);
  const shape = input.u8();
  const choice = input.u8();
  const protocol = PROTOCOLS[(shape >>> 2) % PROTOCOLS.length]!;
  const header = (shape & 1) === 0 ? 20 : 20 + (input.u8() & 3) * 4;
  const fragment = (shape & 2) === 0 ? 0 : input.u16() & 0x3fff;
  ipHeader(to, 0, header, protocol, PEERS[choice & 3]!, DESTINATIONS[(choice >>> 2) % DESTINATIONS.length]!);
  for (let at = 20; at < header; at++) to[at] = input.u8();
  to[6] = fragment >>> 8;
  to[7] = fragment;
  let length = header;
  if (protocol === 1) length += buildIcmp(input, to, header);
  else if (protocol === 17) length += buildUdp(input, to, header);
  else length += input.below(48);
  if ((shape & 0x80) !== 0) length = Math.max(0, length - input.below(40));
  // Sometimes the checksums are made before bytes change.
  const changes = input.u8();
  const mutate = (): void => {
    for (let n = changes & 3; n > 0; n--) to[input.below(MAX_BYTES)] = input.u8();
  };
  if ((changes & 4) === 0) mutate();
  to[2] = length >>> 8;
  to[3] = length;
  if (protocol === 1 && length >= header + 4) fixSum(to, header, length, header + 2);
  fixSum(to, 0, Math.min(header, length), 10);
  if ((changes & 4) !== 0) mutate();
  return length;
}

function ipHeader(
  to: Uint8Array,
  at: number,
  bytes: number,
  protocol: number,
  source: number[],
  destination: number[],
): void {
  to.set([0x40 | (bytes / 4), 0, 0, 0, 0, 1, 0, 0, 64, protocol, 0, 0, ...source, ...destination], at);
}

/** Writes a message; returns its length. */
function buildIcmp(input: Input, to: Uint8Array, at: number): number {
  to[at] = TYPES[input.below(TYPES.length)]!;
  to[at + 1] = input.u8() & 15;
  const mtu = input.u16();
  to[at + 6] = mtu >>> 8;
  to[at + 7] = mtu;
  const quote = input.u8();
  const quoted = at + 8;
  if ((quote & 1) !== 0) return 8 + (quote >>> 1);
  const header = (quote & 2) === 0 ? 20 : 24;
  ipHeader(
    to,
    quoted,
    header,
    [17, 6, 1, 99][(quote >>> 2) & 3]!,
    (quote & 16) === 0 ? US : PEERS[0]!,
    PEERS[(quote >>> 5) & 1]!,
  );
  const total = input.u16();
  to[quoted + 2] = total >>> 8;
  to[quoted + 3] = total;
  to[quoted + 7] = (quote & 0x80) === 0 ? 0 : input.u8();
  const ports = quoted + header;
  to.set([LOCAL_PORT >>> 8, LOCAL_PORT & 0xff, 0, (quote & 0x40) === 0 ? PEER_PORT : input.u8()], ports);
  return 8 + header + 8 + (input.u8() & 31);
}

/** Writes a datagram; returns its length. */
function buildUdp(input: Input, to: Uint8Array, at: number): number {
  const shape = input.u8();
  const length = 8 + (shape & 31);
  const port = (shape & 32) === 0 ? LOCAL_PORT : 9;
  const size = (shape & 64) === 0 ? length : input.u8();
  to.set([0, (shape & 128) === 0 ? PEER_PORT : input.u8(), port >>> 8, port & 0xff, 0, size], at);
  return length;
}

/** Stores the checksum of the bytes from `from` to `end - 1`. */
function fixSum(bytes: Uint8Array, from: number, end: number, field: number): void {
  if (field + 2 > end) return;
  bytes[field] = 0;
  bytes[field + 1] = 0;
  const value = naiveChecksum(bytes.subarray(from, end));
  bytes[field] = value >>> 8;
  bytes[field + 1] = value;
}
