/** Runs of full segments with one header. That they are what single segments would be: `gso-equality.test.ts`. */
import { afterEach, describe, expect, it } from 'vitest';
import { OFFLOAD_CSUM } from '../../../../../../drivers/offloads.js';
import { readI32 } from '../../../../../../src/wire/bytes.js';
import { isIpv4Intact } from '../../../../../../src/wire/ipv4.js';
import { isTcpIntact, TCP_SEQUENCE } from '../../../../../../src/wire/tcp.js';
import { accepted, type Peer, stopPeers } from '../../../../../support/tcpip/rfc/peer.js';

afterEach(stopPeers);

const ETHERNET = 14;
const TCP = 34;

/** Takes what was sent: the sequence numbers of the packets with data, from the first of the connection. */
function sequences(s: Peer): number[] {
  return s.take().flatMap(({ seq, length }) => (length > 0 ? [seq] : []));
}

describe('a run of full segments', () => {
  it('has right checksums in IP and TCP, and its own sequence numbers', async () => {
    const s = await accepted({ offloads: 0, peer: '<mss 1000, sackOK, TS val 1 ecr 0>' });
    s.takePackets();
    s.write(9000);
    const frames = s.takePackets().map(({ frame }) => frame);
    expect(frames).toHaveLength(10);
    const first = readI32(frames[0]!, TCP + TCP_SEQUENCE);
    for (const [i, frame] of frames.entries()) {
      const u8 = Uint8Array.from(frame);
      const memory = { u8, u16: new Uint16Array(u8.buffer, 0, u8.length >> 1) };
      expect(isIpv4Intact(memory, ETHERNET, u8.length - ETHERNET)).toBe(true);
      expect(isTcpIntact(memory, ETHERNET, TCP, u8.length - TCP)).toBe(true);
      expect((readI32(u8, TCP + TCP_SEQUENCE) - first) | 0).toBe(i * 988);
    }
    s.clear();
  });

  it('goes on in a later poll when buffers run out', async () => {
    const s = await accepted({ offloads: 0, peer: '<mss 1000>', buffers: 8 });
    s.write(9500);
    const seen = sequences(s);
    for (let rounds = 0; seen.length < 10 && rounds < 20; rounds++) {
      s.run(1);
      seen.push(...sequences(s));
    }
    expect(seen).toEqual(Array.from({ length: 10 }, (_, i) => 1 + i * 1000));
    expect(s.report().tcp_send_no_buffer).toBeGreaterThan(0);
  });

  it('is sent singly where the device sums', async () => {
    const s = await accepted({ offloads: OFFLOAD_CSUM, peer: '<mss 1000>' });
    s.write(3000);
    expect(sequences(s)).toEqual([1, 1001, 2001]);
  });
});
