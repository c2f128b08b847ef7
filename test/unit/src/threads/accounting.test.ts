/** The life of the buffers with several cores: whatever happens, in any order, each buffer is in exactly one place. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PacketBuffer } from '../../../../src/link/packet-buffer.js';
import type { FakeDeviceOptions } from '../../../../src/testing/fake-device.js';
import type { RingCore } from '../../../../src/threads/core/ring-core.js';
import { swapIpv4Addresses } from '../../../../src/wire/ipv4.js';
import { arp, flowPacket, ipv4, OUR_IP, PEER_IP } from '../../../support/link/frames.js';
import {
  expectEveryBufferOnce,
  expectEveryFrameInOneCounter,
  SteppedPort,
  takeAll,
} from '../../../support/threads/stepped-port.js';
import { TrafficDevice } from '../../../support/threads/traffic-device.js';

const CORES = 3;

/** The buffers that a stack holds. */
type Hands = PacketBuffer[][];
type Step = (port: SteppedPort, hands: Hands) => void;

const core = fc.nat(CORES - 1);
const few = fc.integer({ min: 1, max: 60 });

function packetTo(destination: string, buffer: PacketBuffer): void {
  const packet = ipv4([1, 2, 3, 4], { source: OUR_IP, destination });
  buffer.bytes.set(packet);
  buffer.length = packet.length;
}

/** Sends `buffer`; releases it if there is no room. */
function send(ringCore: RingCore, destination: string, buffer: PacketBuffer): void {
  packetTo(destination, buffer);
  if (!ringCore.addBufferToRing(buffer)) ringCore.release(buffer);
}

/** A step of a core that lives. */
const ofCore = (name: string, act: (ringCore: RingCore, hand: PacketBuffer[], n: number, port: SteppedPort) => void) =>
  fc.tuple(core, few).map(([index, n]): { name: string; step: Step } => ({
    name: `core ${index} ${name} ${n}`,
    step: (port, hands) => {
      if (!port.gone.has(index)) act(port.cores[index]!, hands[index]!, n, port);
    },
  }));
const ofPort = (name: string, act: (port: SteppedPort, n: number) => void) =>
  few.map((n): { name: string; step: Step } => ({ name: `${name} ${n}`, step: (port) => act(port, n) }));

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: ofPort('receives', (port, n) => {
      for (let i = 0; i < n; i++) port.device.inject(flowPacket(1000 + i, i));
    }),
  },
  {
    weight: 1,
    arbitrary: ofPort('is flooded', (port) => {
      for (let i = 0; i < 400; i++) port.device.inject(flowPacket(1000, i));
      while (port.pollRx() > 0);
    }),
  },
  { weight: 1, arbitrary: ofPort('hears ARP', (port) => void port.device.inject(arp())) },
  { weight: 1, arbitrary: ofPort('hears a twin', (port) => void port.device.inject(arp({ senderIp: OUR_IP }))) },
  { weight: 8, arbitrary: ofPort('polls Rx', (port) => void port.pollRx()) },
  { weight: 8, arbitrary: ofPort('polls Tx', (port) => void port.pollTx()) },
  { weight: 2, arbitrary: ofPort('has sent', ({ device }) => device.complete()) },
  {
    weight: 2,
    arbitrary: ofPort('lets time pass', (port, n) => {
      port.time.now += 100 * n;
      port.rx.tick(port.time.now);
    }),
  },
  { weight: 1, arbitrary: ofPort('link', ({ device }) => (device.isUp ? device.setLink(false) : device.restore())) },
  { weight: 1, arbitrary: ofPort('device', ({ device }) => (device.isUp ? device.lose() : device.restore())) },
  { weight: 2, arbitrary: ofPort('tells of the dead', (port) => port.deliverRetired()) },
  {
    weight: 8,
    arbitrary: ofCore('takes', (ringCore, hand, n) => {
      const count = Math.min(ringCore.getRxCount(), n);
      for (let i = 0; i < count; i++) hand.push(ringCore.getBufferRx()!);
    }),
  },
  {
    weight: 6,
    arbitrary: ofCore('echoes', (ringCore, hand, n) => {
      for (const buffer of hand.splice(0, n)) send(ringCore, PEER_IP, buffer);
    }),
  },
  {
    weight: 4,
    arbitrary: ofCore('releases', (ringCore, hand, n) => {
      for (const buffer of hand.splice(0, n)) ringCore.release(buffer);
    }),
  },
  {
    weight: 4,
    arbitrary: ofCore('sends', (ringCore, _, n) => {
      for (let i = 0; i < n; i++) {
        const buffer = ringCore.getBufferTx();
        if (buffer !== null) send(ringCore, PEER_IP, buffer);
      }
    }),
  },
  {
    weight: 3,
    arbitrary: ofCore('parks', (ringCore, hand, n) => {
      for (let i = 0; i < n; i++) {
        const buffer = hand.pop() ?? ringCore.getBufferTx();
        if (buffer !== null) send(ringCore, `10.0.0.${10 + (i % 20)}`, buffer);
      }
    }),
  },
  { weight: 2, arbitrary: ofCore('flushes', (ringCore) => ringCore.flush()) },
  {
    weight: 1,
    arbitrary: ofCore('crashes', (ringCore, hand, _, port) => {
      if (port.gone.size === CORES - 1) return;
      hand.length = 0;
      port.crash(ringCore.index);
    }),
  },
);

/** Brings all buffers home that are still under way. */
function windUp(port: SteppedPort, hands: Hands): void {
  const { device } = port;
  if (!device.isUp) device.restore();
  port.deliverRetired();
  port.pass(10_000);
  for (let round = 0; round < 40; round++) {
    for (const ringCore of port.cores) {
      if (port.gone.has(ringCore.index)) continue;
      for (const buffer of [...hands[ringCore.index]!.splice(0), ...takeAll(ringCore)]) ringCore.release(buffer);
      ringCore.flush();
    }
    device.complete();
    port.settle();
    port.collectAll();
  }
}

describe.each(['1kb', '2kb'] as const)('%s: every buffer is in exactly one place', (mode) => {
  it('after each of any steps; at the end all are home and every frame was counted', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 200, size: 'max' }), fc.boolean(), (steps, holdTx) => {
        const neighbours = { [PEER_IP]: '52:54:00:00:00:02' };
        const fake = { holdTx, txRing: 128 };
        const port = new SteppedPort({ mode, stackCores: CORES, buffers: 1024, fake, neighbours });
        const hands: Hands = Array.from({ length: CORES }, () => []);
        expectEveryBufferOnce(port);
        for (const { name, step } of steps) {
          step(port, hands);
          try {
            expectEveryBufferOnce(port);
          } catch (error) {
            throw new Error(`after '${name}': ${(error as Error).message}`);
          }
        }
        windUp(port, hands);
        expectEveryBufferOnce(port);
        expectEveryFrameInOneCounter(port);
        expect(port.device.pool.available).toBe(port.interconnect.plan.rxBuffers);
        for (let index = 0; index < CORES; index++) expect(port.rx.rx.buffers.held[index]).toBe(0);
      }),
      { numRuns: 25 },
    );
  });
});

/** A short run by default; with TSPMD_LONG=1 the hundred million packets of the design. */
const PACKETS = process.env.TSPMD_LONG === undefined ? 400_000 : 100_000_000;
const FLOWS = 1000;
/** Packets from one failure of a core to the next. */
const LIFE = 0.35 * PACKETS;

describe.each(['1kb', '2kb'] as const)('%s: a long run', (mode) => {
  it(`brings ${PACKETS} packets through four cores, two of which fail; no buffer is lost`, {
    timeout: 3_600_000,
  }, () => {
    const neighbours = { [PEER_IP]: '52:54:00:00:00:02' };
    let device!: TrafficDevice;
    const makeDevice = (options: FakeDeviceOptions): TrafficDevice => {
      device = new TrafficDevice(options, FLOWS);
      return device;
    };
    const port = new SteppedPort({ mode, stackCores: 4, buffers: 8192, makeDevice, neighbours });
    const { cores, gone } = port;
    const { memory } = device;
    let inHands = 0;
    const work = (ringCore: RingCore): void => {
      const count = ringCore.getRxCount();
      for (let i = 0; i < count; i++) {
        const buffer = ringCore.getBufferRx()!;
        swapIpv4Addresses(memory.u8, buffer.offset);
        if (!ringCore.addBufferToRing(buffer)) ringCore.release(buffer);
      }
      inHands += count;
    };
    let crashAt = LIFE;
    for (let round = 0; device.came < PACKETS; round++) {
      // At times more comes than the cores take, at times less.
      device.left = Math.min(round % 7 === 0 ? 256 : 64, PACKETS - device.came);
      while (port.pollRx() > 0);
      for (let index = 0; index < 4; index++) if (!gone.has(index) && (round + index) % 5 !== 0) work(cores[index]!);
      port.pollTx();
      if (round % 100_000 === 99_999) expectEveryBufferOnce(port);
      if (device.came < crashAt) continue;
      crashAt += LIFE;
      expectEveryBufferOnce(port);
      // The core fails in the middle of its work, with packets in every place.
      port.crash(gone.size);
      expectEveryBufferOnce(port);
      port.deliverRetired();
      expectEveryBufferOnce(port);
      // What the others now get of its flows may arrive before what the failed core had queued last.
      device.forgetOrder();
    }
    expect(gone.size).toBe(2);
    const hands: Hands = cores.map(() => []);
    windUp(port, hands);
    expectEveryBufferOnce(port);
    expectEveryFrameInOneCounter(port);
    expect(device.pool.available).toBe(port.interconnect.plan.rxBuffers);
    expect(device.reordered).toBe(0);
    const counters = port.counted();
    expect(counters.rx_frames).toBe(PACKETS);
    expect(device.echoed).toBeGreaterThan(PACKETS / 2);
    expect(device.echoed + counters.tx_lost_core_gone!).toBe(counters.tx_queued);
    expect(inHands).toBeLessThanOrEqual(counters.rx_delivered!);
  });
});
