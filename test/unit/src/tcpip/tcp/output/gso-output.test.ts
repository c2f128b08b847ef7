/** New data in GSO packets: what a packet has, and that the rules for single segments hold (RFC 9293, 3.7 and 3.8.6). */
import { afterEach, describe, expect, it } from 'vitest';
import { OFFLOAD_CHAIN, OFFLOAD_CSUM, OFFLOAD_ECN, OFFLOAD_TSO4 } from '../../../../../../drivers/offloads.js';
import { CHECKSUM_PARTIAL, GSO, GSO_ECN, GSO_TCP4 } from '../../../../../../rings/packet-table.js';
import type { SentPacket } from '../../../../../../src/testing/index.js';
import { readU16 } from '../../../../../../src/wire/bytes.js';
import { foldSum } from '../../../../../../src/wire/checksum.js';
import { IP_PROTOCOL_TCP, ipv4PseudoHeaderSum, ipv4TotalLength } from '../../../../../../src/wire/ipv4.js';
import {
  type AcceptedOptions,
  accepted,
  listening,
  type Peer,
  stopPeers,
} from '../../../../../support/tcpip/rfc/peer.js';

afterEach(stopPeers);

const ETHERNET = 14;
const TCP = 34;
const SUM = OFFLOAD_CSUM | OFFLOAD_CHAIN;
const ALL = SUM | OFFLOAD_TSO4;

async function open(options: AcceptedOptions = {}): Promise<Peer> {
  const s = await accepted({ offloads: ALL, ...options });
  s.takePackets();
  return s;
}

/** Bytes of data of a packet. */
const dataOf = ({ frame }: SentPacket): number => frame.length - TCP - (frame[TCP + 12]! >>> 4) * 4;
const gso = (packets: readonly SentPacket[]): SentPacket[] => packets.filter(({ flags }) => (flags & GSO) !== 0);

describe('a GSO packet', () => {
  // Clauses: MUST-2
  it('has all segments that may go out, and asks for its sum and its cutting', async () => {
    const s = await open();
    s.write(3500);
    const [packet, ...others] = s.takePackets();
    expect(others).toEqual([]);
    expect(packet).toMatchObject({ flags: expect.any(Number), gsoSize: 1000, csumStart: TCP, csumOffset: 16 });
    expect(packet!.flags & (CHECKSUM_PARTIAL | GSO)).toBe(CHECKSUM_PARTIAL | GSO_TCP4);
    const { frame } = packet!;
    expect(ipv4TotalLength(frame, ETHERNET)).toBe(20 + 20 + 3500);
    expect(readU16(frame, TCP + 16)).toBe(foldSum(ipv4PseudoHeaderSum(frame, ETHERNET, IP_PROTOCOL_TCP, 3520)));
    s.expect('. 1:1001(1000) ack 1', '. 1001:2001(1000) ack 1', '. 2001:3001(1000) ack 1', 'P. 3001:3501(500) ack 1');
    expect(s.report()).toMatchObject({ tcp_gso_out: 1, tcp_segments_out: 1 + 4 });
  });

  it('has parts that begin where the peer has the bytes, modulo 8', async () => {
    const s = await open({ peer: '<mss 1460, sackOK, TS val 1 ecr 0>' });
    s.write(14_480);
    const [{ parts }] = s.takePackets() as [SentPacket];
    expect(parts.length).toBeGreaterThan(3);
    // The frame begins at 6 modulo 8 in its buffer, and the second part at 0: whole chunks of the send region follow.
    expect((parts[0]! + 6) % 8).toBe(0);
    expect(parts.slice(1, -1).map((bytes) => bytes % 1024)).toEqual(parts.slice(1, -1).map(() => 0));
  });

  it('has parts of whole chunks of the send region where these lie otherwise modulo 8', async () => {
    const s = await open({ peer: '<mss 1460, sackOK, TS val 1 ecr 0>', noDelay: true, bufferShift: 12 });
    s.write(1001);
    s.takePackets();
    s.write(13_000);
    const [{ parts }] = s.takePackets() as [SentPacket];
    expect(parts.length).toBeGreaterThan(3);
    expect((1001 + parts[0]! - TCP - 32) % 1024).toBe(0);
    expect(parts.slice(1, -1)).toEqual(parts.slice(1, -1).map(() => 3072));
  });

  it('lies in one buffer when it fits', async () => {
    const s = await open({ peer: '<mss 500>' });
    s.write(1200);
    expect(s.takePackets()).toMatchObject([{ parts: [TCP + 20 + 1200], gsoSize: 500 }]);
    s.expect('. 1:501(500) ack 1', '. 501:1001(500) ack 1', 'P. 1001:1201(200) ack 1');
  });

  it('is no longer than an IP packet, and lies in 40 buffers at most', async () => {
    const s = await open({ peer: '<mss 1460, nop, wscale 7>', sendBuffer: 1_000_000, buffers: 1024 });
    let acked = 1;
    let longest = 0;
    for (let rounds = 0; rounds < 30; rounds++) {
      s.write(400_000);
      for (const { frame, parts } of s.takePackets()) {
        longest = Math.max(longest, frame.length);
        expect(frame.length).toBeLessThanOrEqual(ETHERNET + 65_535);
        expect(parts.length).toBeLessThanOrEqual(40);
        expect(ipv4TotalLength(frame, ETHERNET)).toBe(frame.length - ETHERNET);
      }
      for (const { seq, length } of s.take()) acked = Math.max(acked, seq + length);
      s.inject(`. 1:1(0) ack ${acked} win 65535`);
    }
    expect(longest).toBeGreaterThan(60_000);
  });

  it('has at most 64 segments', async () => {
    const s = await open({ peer: '<mss 100, nop, wscale 7>', sendBuffer: 1_000_000 });
    let acked = 1;
    let most = 0;
    for (let rounds = 0; rounds < 12; rounds++) {
      s.write(100_000);
      for (const packet of gso(s.takePackets())) most = Math.max(most, Math.ceil(dataOf(packet) / packet.gsoSize));
      for (const { seq, length } of s.take()) acked = Math.max(acked, seq + length);
      s.inject(`. 1:1(0) ack ${acked} win 65535`);
    }
    expect(most).toBe(64);
  });
});

describe('what goes out is what single segments would be', () => {
  it('as many as the congestion window lets', async () => {
    const s = await open();
    s.write(30_000);
    expect(s.takePackets().map(dataOf)).toEqual([10_000]);
    s.clear();
    s.inject('. 1:1(0) ack 4001 win 65535');
    // Slow start: 4 segments are acknowledged, 8 follow.
    expect(s.takePackets().map(dataOf)).toEqual([8000]);
    s.clear();
  });

  it("whole segments only, where the peer's window ends", async () => {
    const s = await open({ window: 2500 });
    s.write(5000);
    expect(s.takePackets().map(dataOf)).toEqual([2000]);
    s.expect('. 1:1001(1000) ack 1', '. 1001:2001(1000) ack 1');
    s.silence(100);
    s.inject('. 1:1(0) ack 2001 win 5000');
    s.expect('. 2001:3001(1000) ack 1', '. 3001:4001(1000) ack 1', 'P. 4001:5001(1000) ack 1');
  });

  it('a small segment at the end only if none is in flight, unless there is no Nagle', async () => {
    const s = await open();
    s.write(300);
    s.write(2500);
    // The small one goes first: nothing was in flight.
    s.expect('P. 1:301(300) ack 1', '. 301:1301(1000) ack 1', '. 1301:2301(1000) ack 1');
    expect(s.takePackets().map(dataOf)).toEqual([300, 2000]);
    s.silence(20);
    s.inject('. 1:1(0) ack 2301 win 65535');
    s.expect('P. 2301:2801(500) ack 1');
    const other = await open({ noDelay: true });
    other.write(300);
    other.write(2500);
    expect(other.takePackets().map(dataOf)).toEqual([300, 2500]);
    other.clear();
  });

  it('the FIN with the last segment, if the window has room for it', async () => {
    const s = await open();
    s.stack.defer = true;
    s.turn(() => {
      s.write(2500);
      s.end();
    });
    expect(s.takePackets().map(dataOf)).toEqual([2500]);
    s.expect('. 1:1001(1000) ack 1', '. 1001:2001(1000) ack 1', 'FP. 2001:2501(500) ack 1');
    s.inject('. 1:1(0) ack 2502 win 65535');
    expect(s.state).toBe('FIN-WAIT-2');
    const narrow = await open({ window: 3000 });
    narrow.stack.defer = true;
    narrow.turn(() => {
      narrow.write(3000);
      narrow.end();
    });
    narrow.expect('. 1:1001(1000) ack 1', '. 1001:2001(1000) ack 1', 'P. 2001:3001(1000) ack 1');
    narrow.silence(20);
    narrow.inject('. 1:1(0) ack 3001 win 3000');
    narrow.expect('F. 3001:3001(0) ack 1');
  });

  it('a record per segment: only what was lost goes again, in single segments', async () => {
    const s = await open({ peer: '<mss 1000, sackOK>' });
    s.write(10_000);
    s.clear();
    s.takePackets();
    s.inject('. 1:1(0) ack 1001 win 65535 <nop, nop, sack 2001:6001>');
    s.run(50);
    s.expect('. 1001:2001(1000) ack 1');
    const [again] = s.takePackets();
    expect(again!.flags & (CHECKSUM_PARTIAL | GSO)).toBe(CHECKSUM_PARTIAL);
    expect(s.report().tcp_retransmitted_segments).toBe(1);
    s.inject('. 1:1(0) ack 10001 win 65535');
    expect(s.connection.info()).toMatchObject({ inFlight: 0 });
  });

  it.each([
    ['in a packet whose first segment alone has it', OFFLOAD_ECN, [GSO_TCP4 | GSO_ECN]],
    ['in a segment of its own where the device would repeat it', 0, [0, GSO_TCP4]],
  ])('CWR: %s (RFC 3168, 6.1.2)', async (_, ecn, kinds) => {
    const s = await listening({ ecn: true, offloads: ALL | ecn });
    s.inject('SEW 0:0(0) win 65535 <mss 1000>');
    s.expect('S.E 0:0(0) ack 1 <mss 1460>');
    s.inject('. 1:1(0) ack 1 win 65535');
    s.write(20_000);
    s.clear();
    s.takePackets();
    s.inject('.E 1:1(0) ack 10001 win 65535');
    expect(s.takePackets().map(({ flags }) => flags & (GSO | GSO_ECN))).toEqual(kinds);
    s.expect('[ect0] .W 10001:11001(1000) ack 1', '[ect0] . 11001:12001(1000) ack 1');
    s.clear();
    expect(s.all.filter(({ flags }) => flags.includes('W'))).toHaveLength(1);
  });
});

describe('a device that does not segment', () => {
  it('gets single segments without a sum, and headers with one', async () => {
    const s = await open({ offloads: SUM });
    s.write(2500);
    const packets = s.takePackets();
    expect(packets.map(dataOf)).toEqual([1000, 1000, 500]);
    expect(packets.map(({ flags }) => flags)).toEqual([CHECKSUM_PARTIAL, CHECKSUM_PARTIAL, CHECKSUM_PARTIAL]);
    s.inject('P. 1:101(100) ack 2501 win 65535');
    s.run(50);
    expect(s.takePackets()).toMatchObject([{ flags: 0 }]);
    s.clear();
  });

  it('may come while connections are open, and go again', async () => {
    const s = await open();
    const { device } = s.script.port;
    const sent: number[] = [];
    let acked = 1;
    for (const offloads of [OFFLOAD_CHAIN, SUM, ALL]) {
      device.offloads = offloads;
      s.write(3000);
      sent.push(...s.takePackets().map(({ flags }) => flags & (CHECKSUM_PARTIAL | GSO)));
      s.clear();
      acked += 3000;
      s.inject(`. 1:1(0) ack ${acked} win 65535`);
    }
    expect(sent).toEqual([0, 0, 0, ...Array(3).fill(CHECKSUM_PARTIAL), CHECKSUM_PARTIAL | GSO_TCP4]);
    expect(s.connection.buffered).toBe(0);
  });
});

describe('when buffers run out', () => {
  it('as many whole segments go out as there are buffers for, and the others later', async () => {
    const s = await open({ peer: '<mss 1460>', buffers: 16, sendBuffer: 100_000 });
    const { device } = s.script.port;
    let acked = 1;
    const sizes: number[] = [];
    for (let rounds = 0; rounds < 60 && acked <= 80_000; rounds++) {
      if (rounds === 0) s.write(80_000);
      for (const packet of s.takePackets()) sizes.push(dataOf(packet));
      for (const { seq, length } of s.take()) acked = Math.max(acked, seq + length);
      s.inject(`. 1:1(0) ack ${acked} win 65535`);
      s.run(2);
    }
    expect(acked).toBe(80_001);
    // All but the last are whole segments, and none needs more buffers than there are.
    expect(sizes.slice(0, -1).every((bytes) => bytes % 1460 === 0)).toBe(true);
    expect(Math.max(...sizes)).toBeLessThan(16 * 2048);
    expect(Math.max(...sizes)).toBeGreaterThan(1460);
    expect(s.report().ip_tx_no_buffer).toBeGreaterThan(0);
    expect(s.script.port.held).toBe(0);
    expect(device.pool.available + device.held).toBe(16);
  });
});
