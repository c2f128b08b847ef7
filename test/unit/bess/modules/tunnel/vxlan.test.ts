/** Frames through VXLANEncap, IPEncap and EtherEncap, and out of VXLANDecap: bytes, and every reason for a drop. */
import { afterEach, describe, expect, it } from 'vitest';
import { ENCAP, TO_OTHER_HOST, type TunnelLab, tunnelLab } from '../../../../support/bess/tunnel-lab.js';
import { carriedBy, carrying, OUTER, type Wrong } from '../../../../support/bess/vxlan-reference.js';
import { ethernet, ipv4, udp } from '../../../../support/link/frames.js';
import { packetOf } from '../../../../support/offload/packets.js';

let lab: TunnelLab;
afterEach(async () => {
  await lab.stop();
});

const encap = (isShared = true): Promise<TunnelLab> =>
  tunnelLab(
    ['vm', 'nic'],
    `QueueInc(port=vm.name) -> ${TO_OTHER_HOST} -> ${ENCAP} -> QueueOut(port=nic.name)`,
    isShared,
  );
const decap = (isShared = true): Promise<TunnelLab> =>
  tunnelLab(['vm', 'nic'], 'QueueInc(port=nic.name) -> d::VXLANDecap() -> QueueOut(port=vm.name)', isShared);

/** What is counted besides gates, of all modules together. */
const counted = (): Record<string, number> => Object.assign({}, ...lab.run().modules.map(({ counters }) => counters));
const frameOf = (bytes: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, i) => (i * 7 + seed) & 255);

/** Cuts a frame into pieces that end at these places. */
function pieces(frame: Uint8Array, ...ends: number[]): Uint8Array[] {
  return [...ends, frame.length].map((end, i) => frame.slice(i === 0 ? 0 : ends[i - 1], end));
}

describe.each([true, false])('a tunnel, the memory of all ports in one window: %s', (isShared) => {
  it('carries frames in the headers that the reference expects', async () => {
    lab = await encap(isShared);
    const frames = [0, 1, 1400].map((payload, seed) => packetOf({ payload, partial: false, seed }).frame);
    frames.push(frameOf(14), frameOf(60), packetOf({ version: 6, partial: false }).frame);
    lab.queue('vm').base = 1;
    lab.queue('vm').offer(...frames);
    expect(lab.run().summary).toMatchObject({ received: 6, forwarded: 6 });
    for (const [i, frame] of lab.queue('nic').received.entries()) {
      const carried = carriedBy(frame);
      if (typeof carried === 'string') throw new Error(carried);
      expect(carried).toMatchObject({ vni: OUTER.vni, source: OUTER.source, destination: OUTER.destination });
      expect(carried.sourcePort).toBeGreaterThanOrEqual(49_152);
      expect(frame).toEqual(carrying(frames[i]!, { sourcePort: carried.sourcePort }));
    }
  });

  it('takes frames in any number of pieces', async () => {
    lab = await encap(isShared);
    const { frame } = packetOf({ protocol: 'udp', payload: 500, partial: false });
    const many = pieces(frame, ...Array.from({ length: 63 }, (_, i) => 1 + i * 3));
    for (const some of [pieces(frame, 1), pieces(frame, 13, 15, 35), many, pieces(frame, 100), [frame]]) {
      lab.queue('vm').waiting.push(some);
    }
    expect(lab.run().summary.forwarded).toBe(5);
    const [first, ...others] = lab.queue('nic').received;
    expect((carriedBy(first!) as { inner: Uint8Array }).inner).toEqual(frame);
    // All have the same source port, too: they are of one flow.
    for (const other of others) expect(other).toEqual(first);
  });

  it('takes a frame in 64 pieces alone, and makes no more of it', async () => {
    lab = await encap(isShared);
    const { frame } = packetOf({ protocol: 'udp', payload: 500, partial: false });
    lab.queue('vm').waiting.push(pieces(frame, ...Array.from({ length: 63 }, (_, i) => 1 + i * 3)));
    const segments: number[] = [];
    const { put } = lab.queue('nic');
    lab.queue('nic').put = function (burst, indices, count) {
      for (const i of indices.subarray(0, count)) segments.push(burst.firstSegment[i + 1]! - burst.firstSegment[i]!);
      return put.call(this, burst, indices, count);
    };
    expect(lab.run().summary.forwarded).toBe(1);
    expect((carriedBy(lab.queue('nic').received[0]!) as { inner: Uint8Array }).inner).toEqual(frame);
    expect(segments).toEqual([1]);
  });

  it('gives the inner frames back, without padding, wherever they are cut', async () => {
    lab = await decap(isShared);
    const frames = [14, 60, 61, 1500].map((bytes) => frameOf(bytes));
    for (const frame of frames) {
      const packet = carrying(frame, {}, { words: frame.length === 61 ? 15 : 5, padding: frame.length === 14 ? 9 : 0 });
      for (const some of [[packet], pieces(packet, 1, 14, 33), pieces(packet, 49), pieces(packet, 50, 51)]) {
        lab.queue('nic').waiting.push(some);
      }
    }
    expect(lab.run().summary.forwarded).toBe(16);
    expect(lab.queue('vm').received).toEqual(frames.flatMap((frame) => [frame, frame, frame, frame]));
  });
});

describe('VXLANEncap', () => {
  it('gives a flow one source port, and different flows different ones', async () => {
    lab = await encap();
    const of = (source: string, port: number, fragment = 0): Uint8Array =>
      ethernet(ipv4(udp([1, 2], port, 80), { source, destination: '10.0.0.9', protocol: 17, fragment }));
    const flows = [of('10.0.0.1', 1), of('10.0.0.1', 2), of('10.0.0.2', 1), frameOf(60, 1), frameOf(60, 2)];
    lab.queue('vm').offer(...flows, ...flows);
    // All fragments of a packet take one way, whether they have ports or not.
    lab.queue('vm').offer(of('10.0.0.1', 1, 0x2000), of('10.0.0.1', 2, 0x2000), of('10.0.0.1', 9, 0x0010));
    lab.run();
    const ports = lab.queue('nic').received.map((frame) => (carriedBy(frame) as { sourcePort: number }).sourcePort);
    expect(ports.slice(5, 10)).toEqual(ports.slice(0, 5));
    expect(new Set(ports.slice(0, 5)).size).toBe(5);
    expect(new Set(ports.slice(10)).size).toBe(1);
  });

  it('spreads flows over all private ports', async () => {
    lab = await encap();
    const used = new Set<number>();
    for (let i = 0; i < 512; i++) {
      lab.queue('vm').offer(ethernet(ipv4(udp([], 1000 + i, 53), { protocol: 17 })));
      lab.run();
      used.add((carriedBy(lab.queue('nic').received.pop()!) as { sourcePort: number }).sourcePort);
    }
    expect(used.size).toBeGreaterThan(480);
    expect(Math.max(...used) - Math.min(...used)).toBeGreaterThan(16_000);
  });

  it('drops frames of VXLAN, and none that only look like it', async () => {
    lab = await encap();
    const inner = carrying(frameOf(60));
    const tagged = (tag: number[]): Uint8Array => Uint8Array.from([...inner.slice(0, 12), ...tag, ...inner.slice(12)]);
    const ipv6 = packetOf({ protocol: 'udp', version: 6, partial: false }).frame;
    ipv6.set([4789 >>> 8, 4789 & 255], 56);
    ipv6[62] = 8;
    lab.queue('vm').offer(inner, carrying(frameOf(60), {}, { words: 7 }), tagged([0x81, 0, 0, 1]), ipv6);
    lab.queue('vm').waiting.push(pieces(inner, 20));
    expect(counted()).toEqual({ nested: 5 });
    const others = [carrying(frameOf(60), {}, { flags: 0 }), carrying(frameOf(60), { port: 8472 }), ipv6.slice(0, 62)];
    others.push(carrying(frameOf(60), {}, { fragment: 1 }), carrying(frameOf(60), {}, { protocol: 6 }));
    lab.queue('vm').offer(...others);
    lab.run();
    expect(lab.queue('nic').received).toHaveLength(others.length);
  });

  it('drops what is too short or too long, and takes the rest of the burst', async () => {
    lab = await encap();
    const longest = frameOf(65_535 - 36);
    lab.queue('vm').offer(frameOf(60), frameOf(13), longest, frameOf(longest.length + 1), frameOf(61));
    expect(counted()).toEqual({ truncated: 1, tooLong: 1 });
    const carried = lab.queue('nic').received.map((frame) => (carriedBy(frame) as { inner: Uint8Array }).inner.length);
    expect(carried).toEqual([60, longest.length, 61]);
    expect(lab.bess.stats().summary.dropped).toMatchObject({ total: 2, tunnel: 2 });
  });

  it('has its own port and its own headers for each kind of frame', async () => {
    const chain = 'SetMetadata(attrs=[{"name": "ether_type", "size": 2, "value_int": 0x88b5}]) -> EtherEncap()';
    lab = await tunnelLab(
      ['vm', 'nic'],
      `QueueInc(port=vm.name) -> ${TO_OTHER_HOST} -> ${chain} -> QueueOut(port=nic.name)`,
    );
    const frame = frameOf(60);
    lab.queue('vm').offer(frame);
    lab.run();
    const head = [...OUTER.etherDestination, ...OUTER.etherSource, 0x88, 0xb5];
    expect(lab.queue('nic').received).toEqual([Uint8Array.from([...head, ...frame])]);
    await lab.stop();
    // Headers that end at no multiple of 4 do not share a slot.
    const twice = `${chain} -> EtherEncap() -> VXLANEncap(dstport=8472) -> IPEncap() -> EtherEncap()`;
    lab = await tunnelLab(
      ['vm', 'nic'],
      `QueueInc(port=vm.name) -> ${TO_OTHER_HOST} -> ${twice} -> QueueOut(port=nic.name)`,
    );
    lab.queue('vm').offer(frame);
    lab.run();
    const carried = carriedBy(lab.queue('nic').received[0]!);
    expect(carried).toMatchObject({ port: 8472, inner: Uint8Array.from([...head, ...head, ...frame]) });
  });
});

describe('VXLANDecap', () => {
  it.each<[string, Wrong]>([
    ['badIp', { etherType: 0x86dd }],
    ['badIp', { version: 6 }],
    ['badIp', { words: 4 }],
    ['badIp', { ipSum: 0x1234 }],
    ['truncated', { total: 20 + 15 }],
    ['truncated', { total: 20 + 16 + 61 }],
    ['truncated', { total: 0 }],
    ['fragment', { fragment: 0x2000 }],
    ['fragment', { fragment: 0x0001 }],
    ['badUdp', { protocol: 6 }],
    ['badUdp', { udpBytes: 7 }],
    ['badUdp', { udpBytes: 16 + 61 }],
    ['truncated', { udpBytes: 16 + 13 }],
    ['badFlags', { flags: 0xf7 }],
  ])('drops a packet as %s: %j', async (reason, wrong) => {
    lab = await decap();
    const good = carrying(frameOf(60), {}, { flags: 0xff, reserved: 0xff, udpSum: 0xdead });
    const bad = carrying(frameOf(60), {}, wrong);
    lab.queue('nic').offer(good, bad, good);
    lab.queue('nic').waiting.push(pieces(bad, 30));
    expect(counted()).toEqual({ [reason]: 2 });
    expect(lab.queue('vm').received).toEqual([frameOf(60), frameOf(60)]);
  });

  it('drops a packet that ends anywhere before its end', async () => {
    lab = await decap();
    const packet = carrying(frameOf(20));
    for (let length = 14; length < packet.length; length++) lab.queue('nic').offer(packet.slice(0, length));
    expect(counted()).toEqual({ truncated: packet.length - 14 });
  });

  it('drops a tunnel in a tunnel, and none to another port', async () => {
    lab = await decap();
    const nested = carrying(carrying(frameOf(60)));
    lab.queue('nic').offer(nested, carrying(carrying(frameOf(60), { port: 8472 })));
    lab.queue('nic').waiting.push(pieces(nested, 70));
    expect(counted()).toEqual({ nested: 2 });
    expect(lab.queue('vm').received).toHaveLength(1);
  });
});
