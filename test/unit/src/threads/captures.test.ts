/** Captures of a port with several threads: who gets which order, and what the loops show. */
import { describe, expect, it } from 'vitest';
import { OFFLOAD_CHAIN, OFFLOAD_CSUM } from '../../../../drivers/offloads.js';
import { type CaptureWish, DIRECTION_IN, DIRECTION_OUT } from '../../../../observe/capture/sink.js';
import { L2_COUNTERS } from '../../../../src/counters.js';
import type { CapturePoint } from '../../../../src/link/capture-point.js';
import { obeyCapture, ThreadCaptures } from '../../../../src/threads/captures.js';
import type { Order } from '../../../../src/threads/messages.js';
import { arp, ethernet, flowPacket, ipv4, OUR_IP, PEER_IP } from '../../../support/link/frames.js';
import { packetTo } from '../../../support/link/test-core.js';
import { TestCapture, wishFor } from '../../../support/observe/records.js';
import { expectEveryBufferOnce, SteppedPort, takeAll } from '../../../support/threads/stepped-port.js';

/** A thread that keeps its orders. */
class Thread {
  readonly orders: Order[] = [];
  order(order: Order): void {
    this.orders.push(order);
  }
}

function threads(hasTx = true) {
  return { rx: new Thread(), tx: hasTx ? new Thread() : null, cores: [new Thread(), new Thread()] };
}

describe('the order to capture', () => {
  it.each([
    [{ directions: DIRECTION_IN }, [1, 0, 0, 0]],
    [{ directions: DIRECTION_OUT }, [1, 1, 0, 0]],
    [{}, [1, 1, 0, 0]],
    [{ directions: DIRECTION_IN, drops: true }, [1, 0, 0, 0]],
    [{ directions: DIRECTION_OUT, drops: true }, [1, 1, 1, 1]],
    [{ drops: true }, [1, 1, 1, 1]],
  ])('%j goes to the threads that see such packets, each with a ring', (fields, expected) => {
    const all = threads();
    const wish = wishFor(fields);
    const rings = new ThreadCaptures(() => all).open(wish);
    const orders = [all.rx, all.tx!, ...all.cores].map(({ orders: own }) => own);
    expect(orders.map(({ length }) => length)).toEqual(expected);
    const given = orders.flat().map((order) => order as Extract<Order, { type: 'capture' }>);
    expect(given.map(({ type, wanted: { ring, ...rest } }) => ({ type, rest, at: rings.indexOf(ring) }))).toEqual(
      given.map((_, at) => ({ type: 'capture', rest: wish, at })),
    );
    expect([new Set(rings).size, rings.length]).toEqual([given.length, given.length]);
  });

  it('goes once to a thread that receives and sends', () => {
    const all = threads(false);
    expect(new ThreadCaptures(() => all).open(wishFor({ drops: true })).length).toBe(3);
    expect(all.rx.orders.length).toBe(1);
  });

  it('is taken back from all threads', () => {
    for (const all of [threads(), threads(false)]) {
      new ThreadCaptures(() => all).close(7);
      for (const thread of [all.rx, all.tx, ...all.cores]) {
        if (thread !== null) expect(thread.orders).toEqual([{ type: 'endCapture', id: 7 }]);
      }
    }
  });

  it('is obeyed, and no other is', () => {
    const { rx } = open('1kb');
    const wanted = new TestCapture({ id: 3 }).order;
    expect(obeyCapture(rx.capture, { type: 'capture', wanted })).toBe(true);
    expect(rx.capture.all.map(({ id }) => id)).toEqual([3]);
    expect(obeyCapture(rx.capture, { type: 'endCapture', id: 4 })).toBe(true);
    expect(obeyCapture(rx.capture, { type: 'stop' })).toBe(false);
    expect(rx.capture.isOn).toBe(true);
    expect(obeyCapture(rx.capture, { type: 'endCapture', id: 3 })).toBe(true);
    expect(rx.capture.isOn).toBe(false);
  });
});

const KNOWN = { [PEER_IP]: '52:54:00:00:00:02' };

function open(mode: '1kb' | '2kb', options: ConstructorParameters<typeof SteppedPort>[0] = {}): SteppedPort {
  return new SteppedPort({ mode, stackCores: 2, buffers: 2048, neighbours: KNOWN, ...options });
}

function begin(point: CapturePoint, wish: Partial<CaptureWish> = {}): TestCapture {
  const capture = new TestCapture(wish);
  point.add(capture.order);
  return capture;
}

/** The captures of the threads that receive and send: with 1 KB that is one. */
function beginAll(port: SteppedPort, wish: Partial<CaptureWish> = {}): TestCapture[] {
  return [...new Set([port.rx.capture, port.txCapture])].map((point) => begin(point, wish));
}

const takeFrom = (captures: TestCapture[]) => captures.flatMap((capture) => capture.take());
const reasonsOf = (captures: TestCapture[]) =>
  takeFrom(captures).map(({ direction, reason, bytes }) => [direction, L2_COUNTERS[reason], bytes]);

function send(port: SteppedPort, index: number, payload: number[]): void {
  const core = port.cores[index]!;
  expect(core.addBufferToRing(packetTo(core, PEER_IP, payload))).toBe(true);
  core.flush();
}

describe.each(['1kb', '2kb'] as const)('with %s, a capture of the loops', (mode) => {
  it('sees each frame as it came, and what is sent, ARP among it', () => {
    const port = open(mode);
    const captures = beginAll(port);
    const frames = [arp(), flowPacket(1, 1), ethernet([1], { type: 0x88cc })];
    for (const frame of frames) port.device.inject(frame);
    port.settle();
    send(port, 0, [7]);
    send(port, 1, [8]);
    port.settle();
    const found = takeFrom(captures);
    const bytesOf = (wanted: string) => found.filter(({ direction }) => direction === wanted).map(({ bytes }) => bytes);
    expect(bytesOf('in')).toEqual(frames.map((frame) => [...frame]));
    expect(port.device.frames.length).toBe(3);
    expect(bytesOf('out')).toEqual(port.device.frames.map((frame) => [...frame]));
    for (const core of port.cores) for (const buffer of takeAll(core)) core.release(buffer);
    expectEveryBufferOnce(port);
  });

  it('sees a frame once, however often the device has no room for it', () => {
    const port = open(mode, { fake: { txRing: 3, holdTx: true } });
    const captures = beginAll(port, { directions: DIRECTION_OUT });
    for (let i = 0; i < 10; i++) send(port, i % 2, [i]);
    for (let round = 0; round < 8; round++) {
      port.pollTx();
      port.pollTx();
      port.device.complete();
    }
    expect(port.device.frames.length).toBe(10);
    expect(takeFrom(captures).map(({ bytes }) => bytes)).toEqual(port.device.frames.map((frame) => [...frame]));
  });

  it('sees what a link that is down does not take as dropped, and not as sent', () => {
    const port = open(mode);
    const sent = beginAll(port, { directions: DIRECTION_OUT });
    const lost = beginAll(port, { id: 2, drops: true });
    port.device.isUp = false;
    for (let i = 0; i < 3; i++) send(port, 0, [i]);
    port.pollTx();
    expect(takeFrom(sent)).toEqual([]);
    expect(reasonsOf(lost).map(([direction, name, bytes]) => [direction, name, (bytes as number[])[34]])).toEqual(
      [0, 1, 2].map((i) => ['out', 'tx_lost_link_down', i]),
    );
    expectEveryBufferOnce(port);
  });

  it('sees what cores do not get, as whole frames, with any layer', () => {
    for (const layer of ['ip', 'ethernet'] as const) {
      const port = open(mode, { layer });
      const capture = begin(port.rx.capture, { drops: true });
      let dropped = 0;
      const sent: number[][] = [];
      // One core does not look, so its queue or its share is full some time.
      for (let i = 0; i < 3000 && dropped === 0; i++) {
        const frame = flowPacket(1024, i);
        sent.push([...frame]);
        port.device.inject(frame);
        port.settle();
        dropped = port.counted().rx_drop_queue_full! + port.counted().rx_drop_core_share!;
      }
      const found = reasonsOf([capture]);
      expect([dropped, found.length]).toEqual([1, 1]);
      expect(found[0]![1]).toMatch(/^rx_drop_(queue_full|core_share)$/);
      expect(found[0]![2]).toEqual(sent.at(-1));
    }
  });

  it('sees what is left of a core whose stack has failed', () => {
    const port = open(mode, { stackCores: 1 });
    const capture = beginAll(port, { drops: true });
    send(port, 0, [5]);
    port.crash(0);
    port.deliverRetired();
    const frame = flowPacket(1024, 1);
    port.device.inject(frame);
    port.settle();
    const found = reasonsOf(capture);
    expect(found.map(([direction, name]) => [direction, name]).sort()).toEqual([
      ['in', 'rx_drop_core_gone'],
      ['out', 'tx_lost_core_gone'],
    ]);
    expect(found.find(([direction]) => direction === 'in')![2]).toEqual([...frame]);
  });

  it('sees what the receiving loop drops, and each core what it drops itself', () => {
    const port = open(mode);
    const capture = begin(port.rx.capture, { drops: true });
    const ofCore = begin(port.cores[1]!.capture, { id: 2, drops: true });
    const frame = ethernet([1], { type: 0x88cc });
    port.device.inject(frame);
    port.device.inject(arp());
    port.settle();
    expect(reasonsOf([capture])).toEqual([['in', 'rx_drop_ethertype', [...frame]]]);
    const core = port.cores[1]!;
    const buffer = packetTo(core, '192.0.2.1');
    core.addBufferToRing(buffer);
    expect(reasonsOf([ofCore])).toMatchObject([['out', 'tx_drop_no_route', { length: 38 }]]);
    expect(capture.take()).toEqual([]);
  });

  it('sees a packet in several buffers as one', () => {
    const port = open(mode, { fake: { offloads: OFFLOAD_CHAIN | OFFLOAD_CSUM }, stackCores: 1 });
    const captures = beginAll(port);
    const payload = Array.from({ length: 700 }, (_, i) => i & 0xff);
    const frame = ethernet(ipv4(payload));
    port.device.inject(frame, { parts: [60, 300] });
    port.settle();
    const core = port.cores[0]!;
    const [buffer] = takeAll(core);
    buffer!.bytes.set(ipv4(payload, { source: OUR_IP, destination: PEER_IP }).slice(0, 20));
    expect(core.addBufferToRing(buffer!)).toBe(true);
    core.flush();
    port.settle();
    const found = takeFrom(captures);
    expect(found.map(({ direction, length }) => [direction, length])).toEqual([
      ['in', frame.length],
      ['out', frame.length],
    ]);
    expect(found[0]!.bytes).toEqual([...frame]);
    expect(found[1]!.bytes).toEqual([...port.device.frames[0]!]);
    expectEveryBufferOnce(port);
  });
});
