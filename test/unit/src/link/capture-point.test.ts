/** What captures see of a core: each frame once, as it came or goes, and each packet that is dropped, with its counter. */
import { describe, expect, it } from 'vitest';
import { OFFLOAD_CHAIN, OFFLOAD_CSUM } from '../../../../drivers/offloads.js';
import { type CaptureWish, NO_REASON } from '../../../../observe/capture/sink.js';
import { frameCapacity } from '../../../../rings/buffer-pool.js';
import { L2_COUNTERS } from '../../../../src/counters.js';
import { type CapturePoint, NO_CAPTURE } from '../../../../src/link/capture-point.js';
import type { FakeDevice } from '../../../../src/testing/fake-device.js';
import { arp, arpReply, arpRequest, ethernet, ipv4, OUR_IP, PEER_IP } from '../../../support/link/frames.js';
import {
  arpsOf,
  expectNoBufferLost,
  learnPeer,
  makeCore,
  packetsOf,
  packetTo,
  receive,
} from '../../../support/link/test-core.js';
import { type Captured, TestCapture } from '../../../support/observe/records.js';

function begin(point: CapturePoint, wish: Partial<CaptureWish> = {}): TestCapture {
  const capture = new TestCapture(wish);
  point.add(capture.order);
  return capture;
}

const seen = (capture: TestCapture) => capture.take().map(({ direction, bytes }) => [direction, bytes]);
const nameOf = ({ reason }: Captured): string => L2_COUNTERS[reason] ?? 'none';

describe('a capture of a core', () => {
  it('sees frames as they came, and as they go, ARP among them', () => {
    const t = makeCore();
    const capture = begin(t.core.capture);
    const asked = arp();
    receive(t, asked);
    // The reply is made in the buffer of the request.
    expect(seen(capture)).toEqual([
      ['in', [...asked]],
      ['out', [...arpsOf(t)[0]!]],
    ]);
    const packet = ethernet(ipv4([1, 2, 3]));
    receive(t, packet);
    t.core.release(t.core.getBufferRx()!);
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    t.core.flush();
    expect(seen(capture)).toEqual([
      ['in', [...packet]],
      ['out', [...packetsOf(t)[0]!]],
    ]);
  });

  it('sees frames with another layer, too', () => {
    const t = makeCore({ layer: 'ethernet' });
    const capture = begin(t.core.capture);
    const frame = ethernet([1, 2, 3], { type: 0x88cc });
    receive(t, frame);
    const buffer = t.core.getBufferRx()!;
    t.core.addBufferToRing(buffer);
    t.core.flush();
    expect(capture.take()).toMatchObject([
      { direction: 'in', bytes: [...frame], length: frame.length, reason: NO_REASON, interface: 0, every: 1 },
      { direction: 'out', bytes: [...frame], length: frame.length, reason: NO_REASON, interface: 0, every: 1 },
    ]);
  });

  it.each([
    [{ directions: 1 }, ['in']],
    [{ directions: 2 }, ['out']],
    [{ filter: 'arp' }, ['in', 'out']],
    [{ filter: 'tcp' }, []],
    [{ drops: true }, []],
  ])('with %j sees what was asked for', (wish, expected) => {
    const t = makeCore();
    const capture = begin(t.core.capture, wish);
    receive(t, arp());
    expect(capture.take().map(({ direction }) => direction)).toEqual(expected);
  });

  it('sees a frame once, however often the device has no room for it', () => {
    const t = makeCore({}, { txRing: 3, holdTx: true });
    learnPeer(t);
    t.device.complete();
    const capture = begin(t.core.capture, { directions: 2 });
    for (let i = 0; i < 10; i++) t.core.addBufferToRing(packetTo(t.core, PEER_IP, [i]));
    t.core.flush();
    t.core.flush();
    expect(packetsOf(t).length).toBe(3);
    const later = begin(t.core.capture, { id: 2 });
    for (let i = 10; i < 12; i++) t.core.addBufferToRing(packetTo(t.core, PEER_IP, [i]));
    for (let round = 0; round < 5; round++) {
      t.device.complete();
      t.core.flush();
    }
    expect(packetsOf(t).length).toBe(12);
    expect(capture.take().map(({ bytes }) => bytes[34])).toEqual(Array.from({ length: 12 }, (_, i) => i));
    // One that began meanwhile sees those that came after it.
    expect(later.take().map(({ bytes }) => bytes[34])).toEqual([10, 11]);
    expectNoBufferLost(t);
  });

  it('sees what is sent to a link that is down as dropped, and not as sent', () => {
    const t = makeCore();
    learnPeer(t);
    const [sent, lost] = [begin(t.core.capture, { directions: 2 }), begin(t.core.capture, { id: 2, drops: true })];
    t.device.isUp = false;
    for (let i = 0; i < 3; i++) t.core.addBufferToRing(packetTo(t.core, PEER_IP, [i]));
    t.core.flush();
    const found = lost.take();
    expect([sent.take(), found.map(nameOf)]).toEqual([[], Array(3).fill('tx_lost_link_down')]);
    expect(found.map(({ direction, bytes }) => [direction, bytes[34]])).toEqual([0, 1, 2].map((i) => ['out', i]));
    t.device.isUp = true;
    t.core.addBufferToRing(packetTo(t.core, PEER_IP, [9]));
    t.core.flush();
    expect(sent.take().map(({ bytes }) => bytes[34])).toEqual([9]);
    expectNoBufferLost(t);
  });

  it('names the lengths of those that the device took none of, when the link goes', () => {
    const t = makeCore({}, { txRing: 2, holdTx: true });
    learnPeer(t);
    t.device.complete();
    const lost = begin(t.core.capture, { drops: true });
    const { txBurst } = t.device;
    t.device.txBurst = function (this: FakeDevice, ...args) {
      const taken = txBurst.apply(this, args);
      this.isUp = false;
      return taken;
    };
    for (let i = 0; i < 4; i++) t.core.addBufferToRing(packetTo(t.core, PEER_IP, Array<number>(i + 1).fill(i)));
    t.core.flush();
    expect(lost.take().map(({ bytes }) => bytes.slice(34))).toEqual([
      [2, 2, 2],
      [3, 3, 3, 3],
    ]);
  });

  it('ends by its number', () => {
    const t = makeCore();
    const capture = begin(t.core.capture);
    t.core.capture.close(1);
    receive(t, arp());
    expect([capture.take(), t.core.capture.isOn]).toEqual([[], false]);
  });
});

describe('a capture of what a core drops', () => {
  it.each([
    ['rx_drop_runt', ethernet([]).subarray(0, 13)],
    ['rx_drop_not_for_us', ethernet(ipv4([1]), { destination: [2, 0, 0, 0, 0, 9] })],
    ['rx_drop_ethertype', ethernet([1], { type: 0x88cc })],
    ['rx_drop_version', ethernet(ipv4([1], { version: 5 }))],
  ])('sees a received frame: %s', (_, frame) => {
    const t = makeCore();
    const capture = begin(t.core.capture, { drops: true });
    const before = t.core.counters();
    receive(t, frame);
    const after: Readonly<Record<string, number>> = t.core.counters();
    const grown = Object.entries(before).flatMap(([name, count]) =>
      name.startsWith('rx_drop') && after[name]! > count ? [name] : [],
    );
    const [packet, ...others] = capture.take();
    expect([others, grown]).toEqual([[], [nameOf(packet!)]]);
    expect(packet).toMatchObject({ direction: 'in', bytes: [...frame], length: frame.length });
  });

  it('sees no ARP, which has come to its end', () => {
    const t = makeCore();
    const capture = begin(t.core.capture, { drops: true });
    receive(t, arp(), arpReply());
    expect(capture.take()).toEqual([]);
  });

  it.each([
    [Number.NaN, 0],
    [-5, 0],
    [0, 0],
    [19, 19],
    [19.5, 19],
    [1501, 1501],
    [1e9, 'all'],
    [Number.POSITIVE_INFINITY, 'all'],
  ])('sees a packet of a stack with a length of %d', (length, kept) => {
    const t = makeCore();
    learnPeer(t);
    const capture = begin(t.core.capture, { drops: true });
    const buffer = packetTo(t.core, PEER_IP);
    const { shift } = t.device.pool.geometry;
    buffer.length = length;
    expect(t.core.addBufferToRing(buffer)).toBe(true);
    const [packet] = capture.take();
    expect([packet!.direction, nameOf(packet!)]).toEqual(['out', 'tx_drop_length']);
    expect(packet!.bytes.length).toBe(kept === 'all' ? frameCapacity(shift) : (kept as number) + 14);
    expectNoBufferLost(t);
  });

  it('sees a frame of a stack with layer ethernet, with any length', () => {
    const t = makeCore({ layer: 'ethernet' });
    const capture = begin(t.core.capture, { drops: true });
    const frame = ethernet([1, 2, 3]);
    for (const length of [1e9, 13, Number.NaN]) {
      const buffer = t.core.getBufferTx()!;
      buffer.bytes.set(frame);
      buffer.length = length;
      t.core.addBufferToRing(buffer);
    }
    const { shift } = t.device.pool.geometry;
    const found = capture.take();
    expect(found.map(({ bytes }) => bytes.length)).toEqual([frameCapacity(shift), 13, 0]);
    expect(found[0]!.bytes.slice(0, frame.length)).toEqual([...frame]);
  });

  it('sees a packet without its Ethernet header behind one of zeros', () => {
    const t = makeCore();
    learnPeer(t);
    const capture = begin(t.core.capture, { drops: true });
    const buffer = packetTo(t.core, PEER_IP);
    buffer.bytes[0] = 0x65;
    const packet = [...buffer.bytes.subarray(0, buffer.length)];
    t.core.addBufferToRing(buffer);
    const [found] = capture.take();
    expect(found!.bytes).toEqual([...Array<number>(12).fill(0), 8, 0, ...packet]);
    expect(nameOf(found!)).toBe('tx_drop_version');
  });

  it.each([
    ['to nowhere', '192.0.2.1', 'tx_drop_no_route'],
    ['to ourselves', OUR_IP, 'tx_drop_to_self'],
  ])('sees a packet %s', (_, destination, reason) => {
    const t = makeCore();
    const capture = begin(t.core.capture, { drops: true });
    const buffer = packetTo(t.core, destination);
    const packet = [...buffer.bytes.subarray(0, buffer.length)];
    t.core.addBufferToRing(buffer);
    const [found] = capture.take();
    expect([found!.direction, nameOf(found!), found!.bytes.slice(14)]).toEqual(['out', reason, packet]);
    expect(found!.bytes.slice(0, 14)).toEqual([...Array<number>(12).fill(0), 8, 0]);
  });

  it('sees packets that waited in vain for a neighbour, and those beyond the limit', () => {
    const t = makeCore({}, { buffers: 1024 });
    const [capture, sent] = [begin(t.core.capture, { drops: true }), begin(t.core.capture, { id: 2, directions: 2 })];
    const count = 250;
    for (let i = 0; i < count; i++) t.core.addBufferToRing(packetTo(t.core, '10.0.0.9', [i, i]));
    t.pass(60_000);
    const found = capture.take();
    const { tx_drop_unresolved: unresolved, tx_drop_park_full: full } = t.core.counters();
    expect(found.length).toBe(count);
    expect([unresolved! > 0, full! > 0, unresolved! + full!]).toEqual([true, true, count]);
    const named = (name: string) => found.filter((packet) => nameOf(packet) === name).length;
    expect([named('tx_drop_unresolved'), named('tx_drop_park_full')]).toEqual([unresolved, full]);
    const numbers = found.map(({ bytes }) => bytes[34]!).sort((one, other) => one - other);
    expect(numbers).toEqual(Array.from({ length: count }, (_, i) => i));
    expect(found.every(({ length, bytes }) => length === 36 && bytes.length === 36)).toBe(true);
    // Sent were the questions only.
    expect(sent.take().every(({ bytes }) => bytes[12] === 8 && bytes[13] === 6)).toBe(true);
    expectNoBufferLost(t);
  });

  it('sees parked packets as sent when the neighbour answers', () => {
    const t = makeCore();
    const [capture, sent] = [begin(t.core.capture, { drops: true }), begin(t.core.capture, { id: 2, directions: 2 })];
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    t.core.flush();
    receive(t, arpReply());
    expect(capture.take()).toEqual([]);
    expect(sent.take().map(({ bytes }) => bytes)).toEqual([[...arpRequest(PEER_IP)], [...packetsOf(t)[0]!]]);
  });
});

describe('packets in several buffers', () => {
  const OFFLOADS = OFFLOAD_CHAIN | OFFLOAD_CSUM;
  const payload = Array.from({ length: 900 }, (_, i) => i & 0xff);

  it('are one packet, received and sent, cut at the snaplen', () => {
    const t = makeCore({ layer: 'ethernet' }, { offloads: OFFLOADS });
    const [whole, cut] = [begin(t.core.capture), begin(t.core.capture, { id: 2, snaplen: 200 })];
    const frame = ethernet(payload, { type: 0x88cc });
    expect(t.device.inject(frame, { parts: [100, 301] })).toBe(true);
    t.core.getRxCount();
    const buffer = t.core.getBufferRx()!;
    expect(buffer.next).not.toBe(null);
    t.core.addBufferToRing(buffer);
    t.core.flush();
    const bytes = [...frame];
    const both = ['in', 'out'].map((direction) => ({ direction, length: frame.length }));
    expect(whole.take()).toMatchObject(both.map((packet) => ({ ...packet, bytes })));
    expect(cut.take()).toMatchObject(both.map((packet) => ({ ...packet, bytes: bytes.slice(0, 200) })));
    expect([...t.device.frames[0]!]).toEqual(bytes);
    expectNoBufferLost(t);
  });

  it('are one packet when the layer refuses what a stack has made of them', () => {
    const t = makeCore({}, { offloads: OFFLOADS });
    const capture = begin(t.core.capture, { drops: true });
    t.device.inject(ethernet(ipv4(payload, { source: '10.0.0.7' })), { parts: [100, 301] });
    t.core.getRxCount();
    const buffer = t.core.getBufferRx()!;
    expect(buffer.next).not.toBe(null);
    const packet = ipv4(payload, { source: OUR_IP, destination: PEER_IP });
    packet[0] = 0x65;
    buffer.bytes.set(packet.slice(0, 20));
    t.core.addBufferToRing(buffer);
    const [found] = capture.take();
    expect([nameOf(found!), found!.length]).toEqual(['tx_drop_version', packet.length + 14]);
    expect(found!.bytes).toEqual([...Array<number>(12).fill(0), 8, 0, ...packet]);
    expectNoBufferLost(t);
  });

  it('are one packet when they are dropped with the link, or for their neighbour', () => {
    const t = makeCore({}, { offloads: OFFLOADS });
    const capture = begin(t.core.capture, { drops: true });
    const frame = ethernet(ipv4(payload, { source: '10.0.0.7' }));
    const send = () => {
      t.device.inject(frame, { parts: [100, 301] });
      t.core.getRxCount();
      const buffer = t.core.getBufferRx()!;
      const packet = ipv4(payload, { source: OUR_IP, destination: PEER_IP });
      buffer.bytes.set(packet.slice(0, 20));
      t.core.addBufferToRing(buffer);
      return packet;
    };
    const packet = send();
    t.pass(60_000);
    const [unresolved] = capture.take();
    expect([nameOf(unresolved!), unresolved!.length]).toEqual(['tx_drop_unresolved', frame.length]);
    expect(unresolved!.bytes).toEqual([...Array<number>(12).fill(0), 8, 0, ...packet]);
    learnPeer(t);
    capture.take();
    send();
    t.device.isUp = false;
    t.core.flush();
    const [lost] = capture.take();
    expect([nameOf(lost!), lost!.bytes.slice(14)]).toEqual(['tx_lost_link_down', packet]);
    expectNoBufferLost(t);
  });
});

describe('loops without captures', () => {
  it('have a point that wants nothing', () => {
    expect([NO_CAPTURE.isOn, NO_CAPTURE.wantsDrops, NO_CAPTURE.all]).toEqual([false, false, []]);
  });
});
