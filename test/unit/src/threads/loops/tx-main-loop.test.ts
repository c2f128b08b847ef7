/** The sending loop: whose turn it is, how many frames a burst has, and where the buffers go. */
import { describe, expect, it } from 'vitest';
import { SpscRing } from '../../../../../rings/spsc-ring.js';
import { RingReturn } from '../../../../../src/threads/shared/ring-return.js';
import { flowPacket, ipv4, OUR_IP, PEER_IP } from '../../../../support/link/frames.js';
import { expectEveryBufferOnce, SteppedPort, takeAll } from '../../../../support/threads/stepped-port.js';

const KNOWN = { [PEER_IP]: '52:54:00:00:00:02' };

function open(options: ConstructorParameters<typeof SteppedPort>[0] = {}): SteppedPort {
  return new SteppedPort({ stackCores: 3, buffers: 4096, neighbours: KNOWN, ...options });
}

/** Queues `count` packets with the number of the core and their own number. */
function queue(port: SteppedPort, index: number, count: number, from = 0): void {
  const core = port.cores[index]!;
  for (let n = from; n < from + count; n++) {
    const buffer = core.getBufferTx()!;
    const packet = ipv4([index, n >>> 8, n & 0xff], { source: OUR_IP, destination: PEER_IP });
    buffer.bytes.set(packet);
    buffer.length = packet.length;
    expect(core.addBufferToRing(buffer)).toBe(true);
  }
  core.flush();
}

const coresOf = ({ device }: SteppedPort): number[] => device.frames.map((frame) => frame[34]!);
const numbersOf = ({ device }: SteppedPort, core: number): number[] =>
  device.frames.filter((frame) => frame[34] === core).map((frame) => (frame[35]! << 8) | frame[36]!);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
/** Lengths of the runs of equal numbers. */
const runs = (numbers: number[]): [number, number][] => {
  const found: [number, number][] = [];
  for (const number of numbers) {
    const last = found.at(-1);
    if (last?.[0] === number) last[1]++;
    else found.push([number, 1]);
  }
  return found;
};

describe.each(['1kb', '2kb'] as const)('%s: the sending loop', (mode) => {
  it('gives each core one burst per turn: a core that floods waits like the others', () => {
    const port = open({ mode, coreBurst: 8 });
    queue(port, 0, 100);
    queue(port, 1, 10);
    queue(port, 2, 20);
    port.settle();
    expect(runs(coresOf(port)).slice(0, 7)).toEqual([
      [0, 8],
      [1, 8],
      [2, 8],
      [0, 8],
      [1, 2],
      [2, 8],
      [0, 8],
    ]);
    for (const [index, count] of [100, 10, 20].entries()) expect(numbersOf(port, index)).toEqual(upTo(count));
    expectEveryBufferOnce(port);
  });

  it('lets no core wait behind one that never stops', () => {
    const port = open({ mode, coreBurst: 32 });
    for (let turn = 0; turn < 50; turn++) {
      queue(port, 0, turn === 0 ? 200 : 32);
      queue(port, 1, 1, turn);
      port.pollTx();
      // Its packet is sent in this turn, after at most one burst of the other core.
      expect(numbersOf(port, 1)).toEqual(upTo(turn + 1));
      expect(numbersOf(port, 0).length).toBeLessThanOrEqual(32 * (turn + 1));
    }
  });

  it('serves all cores fairly if one batch does not hold a burst of each', () => {
    const port = open({ mode, coreBurst: 128 });
    for (let index = 0; index < 3; index++) queue(port, index, 200);
    while (port.pollTx() > 0);
    expect(runs(coresOf(port)).slice(0, 4)).toEqual([
      [0, 128],
      [1, 128],
      [2, 128],
      [0, 72],
    ]);
  });

  it.each([1, 256])('works with a burst of %d', (coreBurst) => {
    const port = open({ mode, coreBurst });
    for (let index = 0; index < 3; index++) queue(port, index, 100);
    port.settle();
    for (let index = 0; index < 3; index++) expect(numbersOf(port, index)).toEqual(upTo(100));
    expectEveryBufferOnce(port);
  });

  it('gives the device bursts, not single packets, when more wait', () => {
    const port = open({ mode });
    for (let index = 0; index < 3; index++) queue(port, index, 40);
    port.settle();
    expect(port.device.txBursts).toEqual([96, 24]);
  });

  it('keeps the order when the device is full, and loses nothing', () => {
    const port = open({ mode, fake: { txRing: 24, holdTx: true } });
    for (let index = 0; index < 3; index++) queue(port, index, 150);
    for (let round = 0; round < 40; round++) {
      port.pollTx();
      expect(port.tx.hasWork).toBe(port.device.frames.length < 450);
      expectEveryBufferOnce(port);
      port.device.complete();
    }
    for (let index = 0; index < 3; index++) expect(numbersOf(port, index)).toEqual(upTo(150));
    expect(port.tx.hasWork).toBe(false);
  });

  it('drops and counts what waits while the link is down; nothing of it is sent late', () => {
    const port = open({ mode });
    port.device.setLink(false);
    for (let index = 0; index < 3; index++) queue(port, index, 40);
    port.settle();
    while (port.pollTx() > 0 || port.tx.hasWork);
    expect(port.txCounters.snapshot().tx_lost_link_down).toBe(120);
    port.device.setLink(true);
    queue(port, 1, 3, 1000);
    port.settle();
    expect(port.device.frames.filter((frame) => frame[12] === 8 && frame[13] === 0)).toHaveLength(3);
    expectEveryBufferOnce(port);
  });

  it('brings each buffer back to its core, and received ones to the Rx worker', () => {
    const port = open({ mode });
    const { rxBuffers, txBuffers } = port.interconnect.plan;
    for (let n = 0; n < 90; n++) port.device.inject(flowPacket(1024 + n, n));
    port.settle();
    for (const core of port.cores) {
      for (const buffer of takeAll(core)) {
        expect(buffer.handle).toBeLessThan(rxBuffers);
        buffer.bytes.set(ipv4([core.index], { source: OUR_IP, destination: PEER_IP }));
        buffer.length = 21;
        core.addBufferToRing(buffer);
      }
      core.flush();
    }
    for (let round = 0; round < 10; round++) {
      for (const [index, core] of port.cores.entries()) {
        const buffer = core.getBufferTx()!;
        expect(Math.floor((buffer.handle - rxBuffers) / txBuffers)).toBe(index);
        core.release(buffer);
        queue(port, index, 30);
      }
      port.settle();
    }
    port.settle();
    port.collectAll();
    expect(port.device.pool.available).toBe(rxBuffers);
    // A core that needs buffers finds all of its own again.
    for (const core of port.cores) {
      let own = 0;
      while (core.getBufferTx() !== null) own++;
      expect(own).toBe(txBuffers);
      expect(core.counters().tx_no_buffer).toBe(1);
    }
    expectEveryBufferOnce(port);
  });

  it('brings 1000 packets through the few buffers of one core, in order', () => {
    const port = open({ mode, buffers: 1024 });
    const [core] = port.cores;
    const { txBuffers } = port.interconnect.plan;
    expect(txBuffers).toBeLessThan(100);
    let waits = 0;
    for (let n = 0; n < 1000; ) {
      const buffer = core!.getBufferTx();
      if (buffer === null) {
        // Everything that was collected is on its way, so one round brings buffers back.
        expect(core!.held().pending).toBe(0);
        expect(++waits).toBeLessThan(1000);
        port.settle();
        continue;
      }
      const packet = ipv4([0, n >>> 8, n & 0xff], { source: OUR_IP, destination: PEER_IP });
      buffer.bytes.set(packet);
      buffer.length = packet.length;
      expect(core!.addBufferToRing(buffer)).toBe(true);
      n++;
    }
    core!.flush();
    port.settle();
    expect(numbersOf(port, 0)).toEqual(upTo(1000));
    expect(waits).toBeLessThanOrEqual(Math.ceil(1000 / txBuffers));
    expectEveryBufferOnce(port);
  });

  it('sends at the end what the device takes, and counts the rest', () => {
    const port = open({ mode, fake: { txRing: 300, holdTx: true } });
    for (let index = 0; index < 3; index++) queue(port, index, 150);
    port.tx.drain();
    expect(port.device.frames).toHaveLength(300);
    expect(port.txCounters.snapshot().tx_lost_link_down).toBe(150);
    expect(port.tx.hasWork).toBe(false);
    expectEveryBufferOnce(port);
  });

  it('drops and counts what a failed core had queued; buffers in the device come home', () => {
    const port = open({ mode, fake: { txRing: 16, holdTx: true } });
    for (let n = 0; n < 60; n++) port.device.inject(flowPacket(1024 + n, n));
    port.settle();
    const core = port.cores[1]!;
    const packets = takeAll(core);
    for (const buffer of packets) {
      buffer.bytes.set(ipv4([1], { source: OUR_IP, destination: PEER_IP }));
      buffer.length = 21;
      core.addBufferToRing(buffer);
    }
    core.flush();
    port.pollTx();
    queue(port, 1, 50);
    port.crash(1);
    expect(port.txCounters.snapshot().tx_lost_core_gone).toBe(50);
    expectEveryBufferOnce(port);
    port.deliverRetired();
    expectEveryBufferOnce(port);
    for (let round = 0; round < 10; round++) {
      port.device.complete();
      port.settle();
    }
    port.collectAll();
    expect(port.rx.rx.buffers.held[1]).toBe(0);
    expect(port.device.frames.filter((frame) => frame[13] === 0)).toHaveLength(packets.length);
    expectEveryBufferOnce(port);
  });

  it('counts what a core cannot put into its tx_queue when the port is closed', () => {
    const port = open({ mode, buffers: 1024, stackCores: 1 });
    const { txQueue, txBuffers, rxQueue } = port.interconnect.plan;
    expect(txQueue).toBeLessThan(txBuffers + rxQueue + 1);
    const [core] = port.cores;
    let queued = 0;
    const send = (buffer: NonNullable<ReturnType<NonNullable<typeof core>['getBufferTx']>>): boolean => {
      buffer.bytes.set(ipv4([1], { source: OUR_IP, destination: PEER_IP }));
      buffer.length = 21;
      return core!.addBufferToRing(buffer);
    };
    for (let n = 0; n < rxQueue; n++) port.device.inject(flowPacket(1024, n));
    while (port.pollRx() > 0);
    const all = takeAll(core!);
    for (let buffer = core!.getBufferTx(); buffer !== null; buffer = core!.getBufferTx()) all.push(buffer);
    for (const buffer of all) {
      if (send(buffer)) queued++;
      else core!.release(buffer);
    }
    core!.close();
    expect(port.interconnect.ring(0, 'txQueue').count).toBe(Math.min(queued, txQueue));
    expect(core!.counters().tx_lost_link_down).toBe(queued - Math.min(queued, txQueue));
    expect(core!.held().pending).toBe(0);
    expectEveryBufferOnce(port);
  });
});

describe('a ring of returned buffers', () => {
  const make = (places: number): { ring: SpscRing; returns: RingReturn } => {
    const buffer = new SharedArrayBuffer(SpscRing.bytesFor(places));
    return { ring: new SpscRing(buffer, 0, places), returns: new RingReturn(new SpscRing(buffer, 0, places)) };
  };

  it('hands over a burst at a time, and the rest when it is flushed', () => {
    const { ring, returns } = make(128);
    for (let handle = 0; handle < 40; handle++) returns.put(handle);
    expect(ring.count).toBe(32);
    returns.flush();
    returns.flush();
    const handles = new Uint32Array(64);
    expect(ring.dequeueBurst(handles, new Uint32Array(64), 64)).toBe(40);
    expect([...handles.subarray(0, 40)]).toEqual(upTo(40));
  });

  it('says so when more come back than there are', () => {
    const { returns } = make(32);
    for (let handle = 0; handle < 32; handle++) returns.put(handle);
    expect(() => returns.put(1)).toThrow('some buffer was given back twice');
  });
});
