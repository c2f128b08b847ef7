/**
 * The apps that come with the package: echo answers what it is asked and nothing else; macswap, rxonly and txonly do
 * what their names say.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OFFLOAD_CHAIN, OFFLOAD_CSUM } from '../../../../drivers/offloads.js';
import { CHECKSUM_PARTIAL } from '../../../../rings/packet-table.js';
import createEcho from '../../../../src/apps/echo.js';
import createMacSwap from '../../../../src/apps/macswap.js';
import createRxOnly from '../../../../src/apps/rxonly.js';
import createTxOnly from '../../../../src/apps/txonly.js';
import { loadApp } from '../../../../src/load-app.js';
import type { Stack } from '../../../../src/stack.js';
import {
  BROADCAST,
  ethernet,
  icmpEcho,
  ipv4,
  naiveChecksum,
  OUR_IP,
  OUR_MAC,
  PEER_IP,
  PEER_MAC,
  udp,
} from '../../../support/link/frames.js';
import {
  EITHER_CORE,
  expectNoBufferLost,
  learnPeer,
  type MakeEither,
  makeCore,
} from '../../../support/link/test-core.js';

/** Gives an echo stack one frame; returns what it answered and what it counted. */
function echoOn(make: MakeEither, frame: Uint8Array) {
  const t = make({ acceptBroadcast: true });
  learnPeer(t);
  const stack = createEcho(t.core);
  t.device.inject(frame);
  stack.poll();
  t.core.flush();
  expectNoBufferLost(t);
  return { sent: t.device.frames, report: stack.report!() };
}

const bytes = fc.uint8Array({ maxLength: 1400 }).map((array) => [...array]);
const reply = { source: OUR_IP, destination: PEER_IP, ttl: 64 };
const back = { source: OUR_MAC, destination: PEER_MAC };

describe.each(EITHER_CORE)('echo on %s', (_, make) => {
  const echo = (frame: Uint8Array) => echoOn(make, frame);

  it('answers a ping with exactly the reply that ICMP asks for', () => {
    fc.assert(
      fc.property(bytes, fc.nat(0xffff), fc.nat(0xffff), (payload, identifier, sequence) => {
        const request = ethernet(ipv4(icmpEcho(payload, 8, identifier, sequence), { protocol: 1 }));
        const { sent, report } = echo(request);
        const answer = icmpEcho(payload, 0, identifier, sequence);
        // makeIcmpEchoReply writes 0 as 0xffff, which is the same sum.
        if (answer[2] === 0 && answer[3] === 0) answer.fill(0xff, 2, 4);
        const expected = ipv4(answer, { ...reply, protocol: 1 });
        expect(sent).toEqual([ethernet(expected, back)]);
        expect(report.icmp_echoes).toBe(1);
      }),
      { numRuns: 50 },
    );
  });

  it('answers a datagram to port 7 with the same data', () => {
    fc.assert(
      fc.property(bytes, fc.integer({ min: 8, max: 0xffff }), (payload, port) => {
        const { sent } = echo(ethernet(ipv4(udp(payload, port, 7), { protocol: 17 })));
        expect(sent).toHaveLength(1);
        const packet = [...sent[0]!.subarray(14)];
        expect(packet.slice(12, 20)).toEqual([10, 0, 0, 1, 10, 0, 0, 2]);
        expect(packet.slice(20, 24)).toEqual([0, 7, port >>> 8, port & 0xff]);
        expect(packet.slice(28)).toEqual(payload);
        expect(naiveChecksum(packet.slice(0, 20))).toBe(0);
        expect(packet.slice(20)).toEqual(udp(payload, 7, port, OUR_IP, PEER_IP));
      }),
      { numRuns: 50 },
    );
  });

  it('leaves out the checksum if the datagram had none', () => {
    const datagram = udp([1, 2, 3], 4000, 7);
    datagram[6] = 0;
    datagram[7] = 0;
    expect([...echo(ethernet(ipv4(datagram, { protocol: 17 }))).sent[0]!.subarray(40, 42)]).toEqual([0, 0]);
  });

  const damagedPing = icmpEcho([1, 2, 3, 4]);
  damagedPing[9]! ^= 1;
  const damagedDatagram = udp([1, 2, 3, 4], 4000, 7);
  damagedDatagram[9]! ^= 1;
  const damagedHeader = ipv4(icmpEcho([1]), { protocol: 1 });
  damagedHeader[8]! ^= 1;
  const ping = icmpEcho([1]);
  const nops = [1, 1, 1, 0];

  it.each([
    ['a ping with a wrong checksum', ipv4(damagedPing, { protocol: 1 }), 'echo_bad_checksum'],
    ['a datagram with a wrong checksum', ipv4(damagedDatagram, { protocol: 17 }), 'echo_bad_checksum'],
    ['a header with a wrong checksum', damagedHeader, 'ip_bad_header'],
    ['a first fragment', ipv4(ping, { protocol: 1, fragment: 0x2000 }), 'ip_fragments'],
    ['a last fragment', ipv4(ping, { protocol: 1, fragment: 5 }), 'ip_fragments'],
    ['a datagram from port 7: two echo servers', ipv4(udp([1], 7, 7), { protocol: 17 }), 'echo_loops_avoided'],
    ['a datagram from port 0', ipv4(udp([1], 0, 7), { protocol: 17 }), 'echo_loops_avoided'],
    ['a datagram to another port', ipv4(udp([1], 4000, 8), { protocol: 17 }), 'ip_unclaimed'],
    ['an echo reply', ipv4(icmpEcho([1], 0), { protocol: 1 }), 'ip_unclaimed'],
    ['too short a ping', ipv4([8, 0, 0xf7, 0xff], { protocol: 1 }), 'ip_unclaimed'],
    ['too short a datagram', ipv4([0, 9, 0, 7], { protocol: 17 }), 'ip_unclaimed'],
    ['TCP', ipv4(new Array(20).fill(0), { protocol: 6 }), 'ip_unclaimed'],
    ['a ping with IP options', ipv4(ping, { protocol: 1, options: nops }), 'echo_ip_options'],
  ])('does not answer %s, and counts it', (_, packet, counter) => {
    const { sent, report } = echo(ethernet(packet));
    expect(sent).toEqual([]);
    const counted = Object.entries(report).filter(([, value]) => value > 0);
    expect(counted).toEqual([[counter, 1]]);
  });

  it('does not answer a broadcast', () => {
    const packet = ipv4(ping, { protocol: 1, destination: '10.0.0.255' });
    expect(echo(ethernet(packet, { destination: BROADCAST })).sent).toEqual([]);
  });

  it('survives any packet, and loses no buffer', () => {
    const packet = fc.oneof(
      fc.tuple(bytes, fc.constantFrom(1, 17, 6)).map(([payload, protocol]) => ipv4(payload, { protocol })),
      fc.uint8Array({ maxLength: 60 }).map((array) => [0x45, ...array]),
    );
    fc.assert(fc.property(packet, (received) => void echo(ethernet(received))));
  });
});

describe('echo with offloads', () => {
  /** Gives an echo stack a datagram from this host, whose sum is not there yet. */
  function echoPartial(datagram: number[]) {
    const t = makeCore({}, { offloads: OFFLOAD_CSUM | OFFLOAD_CHAIN, finish: true });
    learnPeer(t);
    const stack = createEcho(t.core);
    const packet = ethernet(ipv4(datagram, { protocol: 17 }));
    t.device.inject(packet, { flags: CHECKSUM_PARTIAL, csumStart: 34, csumOffset: 6 });
    stack.poll();
    t.core.flush();
    expectNoBufferLost(t);
    return { sent: t.device.frames, report: stack.report!() };
  }

  /** A datagram whose checksum field has the sum of the pseudo header only. */
  function partial(payload: number[]): number[] {
    const datagram = udp(payload, 4000, 7);
    const pseudo = [10, 0, 0, 2, 10, 0, 0, 1, 0, 17, 0, datagram.length];
    const sum = ~naiveChecksum(pseudo) & 0xffff;
    datagram[6] = sum >>> 8;
    datagram[7] = sum & 0xff;
    return datagram;
  }

  it('answers a datagram with a partial checksum, and the device completes it', () => {
    const { sent, report } = echoPartial(partial([1, 2, 3, 4, 5]));
    expect(report.udp_echoes).toBe(1);
    expect([...sent[0]!.subarray(34)]).toEqual(udp([1, 2, 3, 4, 5], 7, 4000, OUR_IP, PEER_IP));
  });

  it('refuses a length that lies', () => {
    const datagram = partial([1, 2, 3, 4]);
    datagram[5] = 200;
    const { sent, report } = echoPartial(datagram);
    expect(sent).toEqual([]);
    expect(report.echo_bad_checksum).toBe(1);
  });
});

it('echo counts and releases what the ring has no room for', () => {
  const t = makeCore({}, { txRing: 1, holdTx: true });
  learnPeer(t);
  const stack = createEcho(t.core);
  for (let i = 0; i < 40; i++) t.device.inject(ethernet(ipv4(icmpEcho([]), { protocol: 1 })));
  while (stack.poll() > 0);
  const { icmp_echoes, echo_ring_full } = stack.report!();
  expect([icmp_echoes! + echo_ring_full!, echo_ring_full]).toEqual([40, 8]);
  expectNoBufferLost(t);
});

describe.each(EITHER_CORE)('forward modes on %s', (_, make) => {
  it('macswap sends every frame back with its addresses swapped', () => {
    const t = make({ layer: 'ethernet' });
    const stack = createMacSwap(t.core);
    for (let n = 0; n < 3; n++) t.device.inject(ethernet([n, 9, 9], { type: 0x88b5 }));
    expect(stack.poll()).toBe(3);
    t.core.flush();
    expect(t.device.frames).toEqual([0, 1, 2].map((n) => ethernet([n, 9, 9], { ...back, type: 0x88b5 })));
    expect(stack.report!()).toEqual({ macswap_frames: 3, macswap_ring_full: 0 });
    expectNoBufferLost(t);
  });

  it('rxonly counts frames and bytes', () => {
    const t = make({ layer: 'ethernet' });
    const stack = createRxOnly(t.core);
    for (let n = 0; n < 3; n++) t.device.inject(ethernet(new Array(46).fill(n)));
    expect(stack.poll()).toBe(3);
    expect(stack.report!()).toEqual({ rxonly_frames: 3, rxonly_bytes: 180 });
    expectNoBufferLost(t);
  });

  it('txonly sends bursts of sound 64-byte UDP frames to broadcast, or to a given MAC', () => {
    const t = make({ layer: 'ethernet' });
    const stack = createTxOnly(t.core, {});
    expect(stack.poll()).toBe(32);
    expect(t.device.txBursts).toEqual([32]);
    const frame = t.device.frames[31]!;
    expect(frame).toHaveLength(64);
    expect([...frame.subarray(0, 14)]).toEqual([...BROADCAST, ...OUR_MAC, 8, 0]);
    expect(naiveChecksum(frame.subarray(14, 34))).toBe(0);
    expect([...frame.subarray(34)]).toEqual(udp(new Array(22).fill(0), 9, 9, OUR_IP, '198.18.0.2'));
    createTxOnly(t.core, { to: '52:54:00:00:00:02', size: '1514', ip: PEER_IP }).poll();
    expect(t.device.frames[32]).toHaveLength(1514);
    expect([...t.device.frames[32]!.subarray(0, 6)]).toEqual(PEER_MAC);
    expectNoBufferLost(t);
  });
});

describe('forward modes', () => {
  it('txonly fills a buffer again after a frame was received into it', () => {
    const t = makeCore({ layer: 'ethernet' }, { buffers: 64 });
    const stack = createTxOnly(t.core, {});
    for (let i = 0; i < 4; i++) stack.poll();
    const sent = t.device.frames[0]!;
    // The frame comes from our own address, as a reflected one would. It differs from ours only behind the header.
    for (let n = 0; n < 20; n++) t.device.inject(Uint8Array.from([...sent.subarray(0, 14), ...new Array(50).fill(n)]));
    for (let i = 0; i < 4; i++) stack.poll();
    expect(t.device.frames.length).toBeGreaterThan(200);
    for (const frame of t.device.frames) expect([...frame]).toEqual([...sent]);
    expectNoBufferLost(t);
  });

  it('txonly stops at a full ring and at an empty pool, and reports both', () => {
    const t = makeCore({ layer: 'ethernet' }, { txRing: 8, holdTx: true });
    const stack = createTxOnly(t.core, {});
    expect([stack.poll(), stack.poll(), stack.poll()]).toEqual([32, 8, 0]);
    expectNoBufferLost(t);
    expect(() => createTxOnly(t.core, { sise: '64' })).toThrow("unknown option 'sise' (it takes to, size, ip)");
    expect(() => createEcho(t.core, { to: 'x' })).toThrow("echo: unknown option 'to' (it takes none)");
    expect(() => createTxOnly(t.core, { size: '41' })).toThrow('txonly: size 41 is not a whole number from 42 to 1514');
    expect(() => createTxOnly(t.core, { to: 'x' })).toThrow("'x' is not a MAC address");
  });

  it.each(['echo', 'macswap', 'rxonly', 'txonly'])('%s is found by its name', async (name) => {
    const { default: create, layer } = await loadApp(name);
    const t = makeCore({ layer: layer! });
    expect((create(t.core, {}) as Stack).poll()).toBeTypeOf('number');
  });

  it('names the apps if there is none of that name', async () => {
    await expect(loadApp('nonsense')).rejects.toThrow(
      "app 'nonsense': neither one of echo, macswap, rxonly, txonly, tcp-echo, discard, http, iperf3 nor a file",
    );
  });
});
