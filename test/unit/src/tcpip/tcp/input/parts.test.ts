/**
 * Segments of which the device knows something, and that lie in several buffers: their checksum, their data part by part,
 * and when they are acknowledged (RFC 9293, 3.10.7.4; RFC 5681, 4.2).
 */
import { afterEach, describe, expect, it } from 'vitest';
import { OFFLOAD_CHAIN, OFFLOAD_CSUM } from '../../../../../../drivers/offloads.js';
import { CHECKSUM_PARTIAL, CHECKSUM_VERIFIED, GSO_TCP4 } from '../../../../../../rings/packet-table.js';
import type { InjectOptions } from '../../../../../../src/testing/index.js';
import { type AcceptedOptions, accepted, type Peer, stopPeers } from '../../../../../support/tcpip/rfc/peer.js';

afterEach(stopPeers);

const HEADERS = 40;
const CHECKSUM = 36;

const open = (options: AcceptedOptions = {}): Promise<Peer> =>
  accepted({ offloads: OFFLOAD_CSUM | OFFLOAD_CHAIN, buffers: 1024, peer: '<mss 1000, sackOK>', ...options });

/** A GSO packet with a partial checksum, as it comes from a peer on the same host. */
const gso = (size: number, parts?: readonly number[]): InjectOptions => ({
  flags: CHECKSUM_PARTIAL | GSO_TCP4,
  ...{ gsoSize: size, csumStart: 20, csumOffset: 16 },
  ...(parts === undefined ? {} : { parts }),
});

function withWrongSum(packet: Uint8Array): Uint8Array {
  packet[CHECKSUM]! ^= 0x55;
  return packet;
}

describe('the checksum of a received segment', () => {
  it.each([
    ['verified by the device', { flags: CHECKSUM_VERIFIED }],
    ['left to be completed by the peer on this host', { flags: CHECKSUM_PARTIAL, csumStart: 20, csumOffset: 16 }],
  ])('is not computed when it was %s', async (_, how) => {
    const s = await open();
    s.injectBytes(how, withWrongSum(s.packet('P. 1:101(100) ack 1 win 65535')));
    expect(s.received().to).toBe(100);
    expect(s.report().tcp_bad_checksum).toBe(0);
  });

  // Clauses: MUST-3
  it('is computed when nothing is known of it', async () => {
    const s = await open();
    s.injectBytes({}, withWrongSum(s.packet('P. 1:101(100) ack 1 win 65535')));
    expect(s.received().to).toBe(0);
    expect(s.report().tcp_bad_checksum).toBe(1);
  });

  it.each([
    ['even parts', [HEADERS, 100, 300]],
    ['odd parts', [HEADERS + 1, 3, 5, 77, 501]],
    ['a part of one byte', [HEADERS + 33, 1, 1, 1]],
    ['an odd first part', [HEADERS + 13]],
  ])('is computed over all parts: %s', async (_, parts) => {
    const s = await open();
    s.injectAs({ parts }, 'P. 1:1001(1000) ack 1 win 65535');
    expect(s.received().to).toBe(1000);
    for (const place of [HEADERS, HEADERS + 40, HEADERS + 700, HEADERS + 999]) {
      const packet = s.packet('P. 1001:2001(1000) ack 1 win 65535');
      packet[place]! ^= 0x10;
      s.injectBytes({ parts }, packet);
    }
    expect(s.received().to).toBe(1000);
    expect(s.report().tcp_bad_checksum).toBe(4);
  });

  it('is not computed when the first part lacks some of the header: dropped', async () => {
    const s = await open();
    s.injectAs({ parts: [30, 200] }, 'P. 1:101(100) ack 1 win 65535');
    s.injectAs({ parts: [41, 200] }, 'P. 1:101(100) ack 1 win 65535 <nop, nop, TS val 1 ecr 0>');
    expect(s.received().to).toBe(0);
    expect(s.report().tcp_bad_length).toBe(2);
    expect(s.script.port.held).toBe(0);
  });
});

describe('the data of a packet in several buffers', () => {
  it('go to the handler part by part, in order', async () => {
    const s = await open();
    s.injectAs(gso(1000, [HEADERS, 1000, 1501, 2]), 'P. 1:5001(5000) ack 1 win 65535');
    expect(s.received().to).toBe(5000);
    expect(s.events.filter((event) => event.startsWith('data'))).toEqual([
      'data 1..1000',
      'data 1001..2501',
      'data 2502..2503',
      'data 2504..4117',
      'data 4118..5000',
    ]);
    expect(s.report()).toMatchObject({ tcp_gso_in: 1, tcp_bytes_in: 5000 });
  });

  it('are cut to what is new, wherever the old bytes end', async () => {
    for (const known of [1, 499, 500, 501, 1200, 1999]) {
      const s = await open();
      s.inject(`P. 1:${1 + known}(${known}) ack 1 win 65535`);
      s.injectAs(gso(1000, [HEADERS + 500, 500, 300]), 'P. 1:2001(2000) ack 1 win 65535');
      expect(s.received().to).toBe(2000);
      s.run(100);
      expect(s.take().at(-1)!.ack).toBe(2001);
    }
  });

  it('are cut to the window', async () => {
    const s = await open({ receiveBuffer: 3000 });
    s.pause();
    s.injectAs(gso(1000, [HEADERS + 100, 700, 900]), 'P. 1:5001(5000) ack 1 win 65535');
    s.run(100);
    expect(s.take().at(-1)).toMatchObject({ ack: 3001, window: 0 });
    s.resume();
    expect(s.received().to).toBe(3000);
    s.clear();
  });

  it('wait when they come beyond a gap, and are told by SACK', async () => {
    const s = await open();
    s.injectAs(gso(1000, [HEADERS + 3, 500, 1001]), '. 1001:4001(3000) ack 1 win 65535');
    s.expect('. 1:1(0) ack 1 <nop, nop, sack 1001:4001>');
    expect(s.report().tcp_out_of_order).toBe(1);
    s.injectAs({ parts: [HEADERS + 1, 998] }, '. 1:1001(1000) ack 1 win 65535');
    s.expect('. 1:1(0) ack 4001');
    expect(s.received().to).toBe(4000);
  });

  it('may reach over what came before them: every byte is given once', async () => {
    for (const [from, to] of [
      [1001, 1101],
      [1501, 2001],
      [1401, 1601],
      [2901, 3501],
    ] as const) {
      const s = await open();
      s.inject(`. ${from}:${to}(${to - from}) ack 1 win 65535`);
      s.injectAs(gso(1000, [HEADERS + 500, 500, 500, 500]), 'P. 1:3001(3000) ack 1 win 65535');
      s.run(100);
      expect(s.received().to).toBe(Math.max(3000, from <= 3001 ? to - 1 : 0));
      s.clear();
    }
  });

  it('are kept from the part on at which the application pauses', async () => {
    const s = await open();
    const act = s.connection;
    const taken: number[] = [];
    s.onData = (length) => {
      taken.push(length);
      act.pause();
    };
    s.injectAs(gso(1000, [HEADERS + 400, 600, 1000]), 'P. 1:3001(3000) ack 1 win 65535');
    expect(taken).toEqual([400]);
    expect(act.unread).toBe(2600);
    s.onData = null;
    s.resume();
    expect(s.received().to).toBe(3000);
    s.run(100);
    s.clear();
  });

  it('end where the application aborts', async () => {
    const s = await open();
    s.onData = () => s.connection.abort();
    s.injectAs(gso(1000, [HEADERS + 400, 600, 1000]), 'P. 1:3001(3000) ack 1 win 65535');
    expect(s.events.filter((event) => event.startsWith('data'))).toEqual(['data 1..400']);
    expect(s.connections).toBe(0);
    expect(s.script.port.held).toBe(0);
    s.clear();
  });

  it('may end with a FIN', async () => {
    const s = await open();
    s.injectAs(gso(1000, [HEADERS, 900, 1000]), 'FP. 1:2501(2500) ack 1 win 65535');
    s.expect('. 1:1(0) ack 2502');
    expect(s.received().to).toBe(2500);
    expect(s.events.at(-1)).toBe('end');
    expect(s.state).toBe('CLOSE-WAIT');
  });
});

describe('the ACK of a GSO packet', () => {
  // Clauses: SHLD-18
  it('goes out at once for two segments, and late for one', async () => {
    const s = await open();
    s.skipQuickAcks();
    const from = s.seq;
    s.injectAs(gso(1000), `P. ${from}:${from + 2000}(2000) ack 1 win 65535`);
    s.expect(`. 1:1(0) ack ${from + 2000}`);
    s.injectAs(gso(1000), `P. ${from + 2000}:${from + 3000}(1000) ack 1 win 65535`);
    s.silence(30);
    s.run(20);
    s.expect(`. 1:1(0) ack ${from + 3000}`);
  });

  it('counts the segments of the packet, not the packet', async () => {
    const s = await open();
    s.skipQuickAcks();
    const from = s.seq;
    s.injectAs(gso(1000), `P. ${from}:${from + 20_000}(20000) ack 1 win 65535`);
    s.expect(`. 1:1(0) ack ${from + 20_000}`);
    // Had the packet counted as one segment of 20,000 bytes, this would wait.
    s.injectAs(gso(1000), `P. ${from + 20_000}:${from + 22_000}(2000) ack 1 win 65535`);
    s.expect(`. 1:1(0) ack ${from + 22_000}`);
    expect(s.report().tcp_gso_in).toBe(2);
  });
});
