/** What senders leave to others, through a tunnel: partial checksums, and packets for many segments. */
import { afterEach, describe, expect, it } from 'vitest';
import { CHECKSUM_PARTIAL, CHECKSUM_VERIFIED, GSO_ECN, GSO_TCP4, GSO_TCP6 } from '../../../../../rings/packet-table.js';
import type { FakeOffloads } from '../../../../support/bess/fake-port.js';
import { ENCAP, TO_OTHER_HOST, type TunnelLab, tunnelLab } from '../../../../support/bess/tunnel-lab.js';
import { carriedBy, carrying } from '../../../../support/bess/vxlan-reference.js';
import { type MadePacket, packetOf } from '../../../../support/offload/packets.js';
import { completed, segmentsOf } from '../../../../support/offload/reference.js';

let lab: TunnelLab;
afterEach(async () => {
  await lab.stop();
});

const HEADERS = 50;
const partial = ({ csumStart, csumOffset }: MadePacket, more: Partial<FakeOffloads> = {}): FakeOffloads => ({
  ...{ flags: CHECKSUM_PARTIAL, gsoSize: 0, csumStart, csumOffset },
  ...more,
});
/** The inner frames that the port got, their checksums completed where that was left to it. */
function innerFrames(port: string): Uint8Array[] {
  const { received, receivedOffloads } = lab.queue(port);
  return received.map((frame, i) => {
    const left = receivedOffloads[i] ?? null;
    const whole = left === null ? frame : completed(frame, left.csumStart, left.csumOffset);
    const carried = carriedBy(whole);
    if (typeof carried === 'string') throw new Error(carried);
    return carried.inner;
  });
}

describe.each([true, false])('into a tunnel, the memory in one window: %s', (isShared) => {
  const encap = async (): Promise<void> => {
    lab = await tunnelLab(
      ['vm', 'nic'],
      `QueueInc(port=vm.name) -> ${TO_OTHER_HOST} -> ${ENCAP} -> QueueOut(port=nic.name)`,
      isShared,
    );
  };

  it('a partial checksum stays one, for the same bytes', async () => {
    await encap();
    const [plain, tcp, udp] = [
      packetOf({ partial: false }),
      packetOf(),
      packetOf({ protocol: 'udp', version: 6, payload: 33, tags: 1 }),
    ];
    lab.queue('vm').offer(plain!.frame);
    lab.queue('vm').offerUnfinished(partial(tcp!), tcp!.frame.subarray(0, 15), tcp!.frame.subarray(15));
    lab.queue('vm').offerUnfinished(partial(udp!), udp!.frame);
    lab.queue('vm').offerUnfinished(partial(plain!, { flags: CHECKSUM_VERIFIED }), plain!.frame);
    lab.run();
    const moved = [tcp!, udp!].map((packet) => partial(packet, { csumStart: packet.csumStart + HEADERS }));
    expect(lab.queue('nic').receivedOffloads.map((left) => left && { ...left, gsoSize: 0 })).toEqual([
      null,
      ...moved,
      null,
    ]);
    const whole = [tcp!, udp!].map(({ frame, csumStart, csumOffset }) => completed(frame, csumStart, csumOffset));
    expect(innerFrames('nic')).toEqual([plain!.frame, ...whole, plain!.frame]);
  });

  it('a packet for many segments is cut first, and all keep their order', async () => {
    await encap();
    const v4 = packetOf({ payload: 4000, seed: 1, flags: 0x99, tcpOptions: 12 });
    const v6 = packetOf({ payload: 2800, seed: 2, version: 6 });
    const [before, after] = [packetOf({ payload: 9, partial: false }), packetOf({ payload: 8, partial: false })];
    lab.queue('vm').offer(before.frame);
    lab
      .queue('vm')
      .offerUnfinished(partial(v4, { flags: CHECKSUM_PARTIAL | GSO_TCP4 | GSO_ECN, gsoSize: 1388 }), v4.frame);
    lab
      .queue('vm')
      .offerUnfinished(
        partial(v6, { flags: CHECKSUM_PARTIAL | GSO_TCP6, gsoSize: 1400 }),
        v6.frame.subarray(0, 700),
        v6.frame.subarray(700),
      );
    lab.queue('vm').offer(after.frame);
    const { summary, modules } = lab.run();
    expect(summary).toMatchObject({ received: 4, cut: 3, forwarded: 7, dropped: { total: 0 } });
    expect(modules.find((module) => module.class === 'VXLANEncap')?.counters).toEqual({ cut: 3 });
    const segments = [...segmentsOf(v4.frame, v4.csumStart, 1388), ...segmentsOf(v6.frame, v6.csumStart, 1400)];
    expect(innerFrames('nic')).toEqual([before.frame, ...segments, after.frame]);
    for (const left of lab.queue('nic').receivedOffloads.slice(1, 6)) expect(left!.flags).toBe(CHECKSUM_PARTIAL);
  });

  it('a packet that cannot be cut as its sender says is dropped', async () => {
    await encap();
    const packet = packetOf({ payload: 4000 });
    packet.frame[packet.csumStart + 12] = 0x10;
    lab
      .queue('vm')
      .offerUnfinished(partial(packet, { flags: CHECKSUM_PARTIAL | GSO_TCP4, gsoSize: 1400 }), packet.frame);
    const { summary, modules } = lab.run();
    expect(summary).toMatchObject({ received: 1, cut: 0, forwarded: 0, dropped: { total: 1, tunnel: 1 } });
    expect(modules.find((module) => module.class === 'VXLANEncap')?.counters).toEqual({ badOffload: 1 });
  });
});

describe('out of a tunnel', () => {
  const offer = async (inner: MadePacket, left: Partial<FakeOffloads>, wrong = {}): Promise<Record<string, number>> => {
    lab = await tunnelLab(['vm', 'nic'], 'QueueInc(port=nic.name) -> VXLANDecap() -> QueueOut(port=vm.name)');
    lab.queue('nic').offer(carrying(inner.frame));
    lab
      .queue('nic')
      .offerUnfinished(
        partial(inner, { csumStart: inner.csumStart + HEADERS, ...left }),
        carrying(inner.frame, {}, wrong),
      );
    return Object.assign({}, ...lab.run().modules.map(({ counters }) => counters));
  };

  it('a partial checksum and many segments stay what they are', async () => {
    const tcp = packetOf({ payload: 3000 });
    const flags = CHECKSUM_PARTIAL | GSO_TCP4 | GSO_ECN;
    await offer(tcp, { flags, gsoSize: 1400 });
    expect(lab.queue('vm').received).toEqual([tcp.frame, tcp.frame]);
    expect(lab.queue('vm').receivedOffloads).toEqual([null, partial(tcp, { flags, gsoSize: 1400 })]);
  });

  it.each<[string, Partial<FakeOffloads>]>([
    ['of the outer packet', { csumStart: 34, csumOffset: 6 }],
    ['that was verified', { flags: CHECKSUM_VERIFIED }],
  ])('a checksum %s is of no use any more', async (_, left) => {
    const udp = packetOf({ protocol: 'udp', partial: false });
    expect(await offer(udp, left)).toEqual({});
    expect(lab.queue('vm').receivedOffloads).toEqual([null, null]);
  });

  it.each<[string, Partial<FakeOffloads>, object]>([
    ['a sum that begins in the MAC addresses', { csumStart: HEADERS + 13 }, {}],
    ['a sum that goes behind the frame', { csumStart: HEADERS + 152, csumOffset: 3 }, { padding: 9 }],
    ['segments of a packet without TCP', { csumStart: 34, flags: CHECKSUM_PARTIAL | GSO_TCP4, gsoSize: 9 }, {}],
    ['segments of another version of IP', { flags: CHECKSUM_PARTIAL | GSO_TCP6, gsoSize: 9 }, {}],
    ['segments longer than the packet', { flags: CHECKSUM_PARTIAL | GSO_TCP4, gsoSize: 101 }, { padding: 90 }],
  ])('%s are refused', async (_, left, wrong) => {
    const tcp = packetOf({ payload: 100 });
    expect(await offer(tcp, left, wrong)).toEqual({ badOffload: 1 });
    expect(lab.queue('vm').receivedOffloads).toEqual([null]);
  });
});
