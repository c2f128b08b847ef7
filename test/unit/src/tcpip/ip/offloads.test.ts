/** IP, ICMP and UDP with a device that knows checksums, and with packets in several buffers. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OFFLOAD_CHAIN, OFFLOAD_CSUM } from '../../../../../drivers/offloads.js';
import { CHECKSUM_PARTIAL, CHECKSUM_VERIFIED } from '../../../../../rings/packet-table.js';
import { Udp } from '../../../../../src/tcpip/udp/udp.js';
import type { InjectOptions } from '../../../../../src/testing/index.js';
import { parseIpv4 } from '../../../../../src/wire/address.js';
import { udp as datagram, icmpEcho, ipv4, naiveChecksum, OUR_IP, PEER_IP } from '../../../../support/link/frames.js';
import { type IpFixture, openIp } from '../../../../support/tcpip/ip-fixture.js';

let fixture: IpFixture;
let udp: Udp;
let payloads: number[][];

beforeEach(async () => {
  const neighbours = { [PEER_IP]: '02:00:0a:00:00:02' };
  fixture = await openIp({}, { neighbours, offloads: OFFLOAD_CSUM | OFFLOAD_CHAIN, device: { buffers: 1024 } });
  udp = new Udp(fixture.net.core, fixture.ip);
  payloads = [];
  udp.bind(
    { port: 53 },
    { message: (_, bytes, offset, length) => void payloads.push([...bytes.subarray(offset, offset + length)]) },
  );
});

afterEach(async () => {
  expect(fixture.net.held).toBe(0);
  await fixture.net.stop();
});

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => (i * 7 + (i >> 8)) & 0xff);

function toUs(payload: number[], protocol = 17, fields = {}): number[] {
  const bytes = protocol === 17 ? datagram(payload, 999, 53, PEER_IP, OUR_IP) : payload;
  return ipv4(bytes, { protocol, source: PEER_IP, destination: OUR_IP, ...fields });
}

/** Receives packets of which the device says something. Returns the packets that were sent. */
function exchange(how: InjectOptions, ...packets: number[][]): Uint8Array[] {
  for (const packet of packets) {
    fixture.net.inject(Uint8Array.from(packet), how);
    fixture.poll();
  }
  return fixture.net.sent();
}

const PARTIAL = { flags: CHECKSUM_PARTIAL, csumStart: 20, csumOffset: 6 };

describe('a received datagram of UDP', () => {
  // Clauses: 1122-4.1.3.4a
  it.each([
    ['verified by the device', { flags: CHECKSUM_VERIFIED }, 1],
    ['to be completed', PARTIAL, 1],
    ['not known', {}, 0],
  ])('with a checksum that is wrong, and %s', (_, how, taken) => {
    const packet = toUs([1, 2, 3]);
    packet[26]! ^= 0x33;
    exchange(how, packet);
    expect(payloads).toHaveLength(taken);
    expect(udp.report().udp_drop_malformed).toBe(1 - taken);
  });

  it.each([CHECKSUM_VERIFIED, CHECKSUM_PARTIAL])(
    'is dropped if its length is wrong, whatever the sum (%i)',
    (flags) => {
      const long = toUs([1, 2, 3]);
      long[25]! += 1;
      const short = toUs([1, 2, 3]);
      short[25] = 7;
      exchange({ ...PARTIAL, flags }, long, short, toUs([1, 2], 17).slice(0, 20).concat([1, 2, 3, 4]));
      expect(payloads).toEqual([]);
    },
  );

  it('may lie in several buffers, with any checksum', () => {
    const packet = toUs(numbers(5001));
    for (const flags of [0, CHECKSUM_VERIFIED, CHECKSUM_PARTIAL]) {
      exchange({ ...PARTIAL, flags, parts: [28, 1, 999, 1500] }, packet);
      exchange({ ...PARTIAL, flags, parts: [20] }, packet);
    }
    expect(payloads).toEqual(Array(6).fill(numbers(5001)));
    expect(fixture.counted()).toEqual({ ip_rx: 6, ip_rx_copied: 6 });
    packet[3000]! ^= 1;
    exchange({ parts: [28, 999] }, packet);
    expect(udp.report().udp_drop_malformed).toBe(1);
  });
});

describe('a fragment', () => {
  /** The halves of a datagram. */
  function fragments(payload: number[]): number[][] {
    const whole = datagram(payload, 999, 53, PEER_IP, OUR_IP);
    const fields = { protocol: 17, source: PEER_IP, destination: OUR_IP, identification: 7 };
    return [
      ipv4(whole.slice(0, 1480), { ...fields, fragment: 0x2000 }),
      ipv4(whole.slice(1480), { ...fields, fragment: 1480 / 8 }),
    ];
  }

  it('is taken by its bytes, in several buffers or not, and the whole is checked', () => {
    exchange({ flags: CHECKSUM_VERIFIED, parts: [20, 333, 500] }, ...fragments(numbers(2000)));
    expect(payloads).toEqual([numbers(2000)]);
    const [first, second] = fragments(numbers(2000)) as [number[], number[]];
    second[100]! ^= 1;
    exchange({ flags: CHECKSUM_VERIFIED }, first, second);
    expect(payloads).toHaveLength(1);
    expect(udp.report().udp_drop_malformed).toBe(1);
  });

  it('with a checksum that is to be completed is dropped', () => {
    exchange(PARTIAL, ...fragments(numbers(2000)));
    exchange({ ...PARTIAL, parts: [20, 100] }, ...fragments(numbers(2000)));
    expect(payloads).toEqual([]);
    expect(fixture.counted()).toMatchObject({ ip_drop_frag_partial: 4, ip_rx: 4 });
  });
});

describe('a packet in several buffers', () => {
  it('is an echo request that is answered, in fragments if it must be', () => {
    for (const [bytes, parts] of [
      [600, [20, 13]],
      [600, [28, 13, 500]],
      [3000, [28, 1501]],
    ] as const) {
      const replies = exchange({ parts }, toUs(icmpEcho(numbers(bytes)), 1));
      const data = replies.flatMap((reply) => [...reply.subarray(20)]);
      expect(data.slice(8)).toEqual(numbers(bytes));
      expect(naiveChecksum(data)).toBe(0);
    }
  });

  it('with a protocol that nobody speaks is quoted as it was', () => {
    const packet = toUs(numbers(400), 99);
    const [answer] = exchange({ parts: [20, 7, 100] }, packet);
    expect([...answer!.subarray(28)]).toEqual(packet);
  });

  it('with a wrong IP header is dropped', () => {
    const packet = toUs(numbers(400));
    packet[10]! ^= 1;
    exchange({ parts: [20, 7, 100] }, packet);
    expect(fixture.counted()).toEqual({ ip_rx: 1, ip_drop_header: 1 });
  });

  it('is an echo request whose flags do not go out with the answer', () => {
    fixture.net.device.packets.length = 0;
    const replies = exchange({ flags: CHECKSUM_VERIFIED }, toUs(icmpEcho([1, 2, 3]), 1));
    expect(replies).toHaveLength(1);
    const partial = exchange({ flags: CHECKSUM_PARTIAL, csumStart: 20, csumOffset: 2 }, toUs(icmpEcho([1, 2, 3]), 1));
    expect(partial.map((reply) => naiveChecksum([...reply.subarray(20)]))).toEqual([0]);
    expect(fixture.net.device.packets.map(({ flags }) => flags)).toEqual([0, 0]);
  });
});

describe('a datagram of UDP that is sent', () => {
  it('leaves its checksum to a device that computes it', () => {
    const socket = udp.bind({ port: 99 }, {});
    const { packets } = fixture.net.device;
    packets.length = 0;
    socket.send(Uint8Array.from(numbers(1000)), 0, 1000, parseIpv4(PEER_IP), 53);
    const [sent] = fixture.net.sent();
    expect(packets).toMatchObject([{ flags: CHECKSUM_PARTIAL, csumStart: 34, csumOffset: 6 }]);
    expect([...sent!.subarray(20)]).toEqual(datagram(numbers(1000), 99, 53, OUR_IP, PEER_IP));
  });

  it('has its checksum if it goes in fragments, or the device computes none', () => {
    const socket = udp.bind({ port: 99 }, {});
    const { device } = fixture.net;
    device.packets.length = 0;
    socket.send(Uint8Array.from(numbers(3000)), 0, 3000, parseIpv4(PEER_IP), 53);
    device.offloads = OFFLOAD_CHAIN;
    socket.send(Uint8Array.from(numbers(100)), 0, 100, parseIpv4(PEER_IP), 53);
    const sent = fixture.net.sent();
    expect(device.packets.map(({ flags }) => flags)).toEqual([0, 0, 0, 0]);
    expect(sent.slice(0, 3).flatMap((packet) => [...packet.subarray(20)])).toEqual(
      datagram(numbers(3000), 99, 53, OUR_IP, PEER_IP),
    );
    expect([...sent[3]!.subarray(20)]).toEqual(datagram(numbers(100), 99, 53, OUR_IP, PEER_IP));
  });
});
