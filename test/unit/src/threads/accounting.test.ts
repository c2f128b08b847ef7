/** The life of the buffers with several cores: whatever happens, in any order, each buffer is in exactly one place. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OFFLOAD_CHAIN, OFFLOAD_CSUM, OFFLOAD_ECN, OFFLOAD_TSO4 } from '../../../../drivers/offloads.js';
import { CHECKSUM_PARTIAL, CHECKSUM_VERIFIED, GSO_TCP4 } from '../../../../rings/packet-table.js';
import type { PacketBuffer } from '../../../../src/link/packet-buffer.js';
import type { FakeDeviceOptions } from '../../../../src/testing/fake-device.js';
import type { InjectOptions } from '../../../../src/testing/fake-entries.js';
import type { RingCore } from '../../../../src/threads/core/ring-core.js';
import { swapIpv4Addresses } from '../../../../src/wire/ipv4.js';
import { arp, ethernet, flowPacket, ipv4, OUR_IP, PEER_IP } from '../../../support/link/frames.js';
import { tcpPacket } from '../../../support/link/tcp-packets.js';
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
/** What a device with offloads may do for a packet to send. */
const offloadBits = fc.constantFrom(
  OFFLOAD_CHAIN,
  OFFLOAD_CHAIN | OFFLOAD_CSUM,
  OFFLOAD_CHAIN | OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_ECN,
);
const few = fc.integer({ min: 1, max: 60 });

function packetTo(destination: string, buffer: PacketBuffer): void {
  const packet = ipv4([1, 2, 3, 4], { source: OUR_IP, destination });
  buffer.bytes.set(packet);
  buffer.length = packet.length;
}

/** Sends `buffer`; releases it if there is no room. */
function send(ringCore: RingCore, destination: string, buffer: PacketBuffer): void {
  packetTo(destination, buffer);
  buffer.requestNothing();
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

/** A received packet: one of TCP that stands for many segments, in several buffers. */
const LARGE = ethernet(tcpPacket(new Uint8Array(12_000), { isReceived: true, checksum: 'partial' }).bytes);
const LARGE_HOW: InjectOptions = { flags: CHECKSUM_PARTIAL | GSO_TCP4, gsoSize: 1448, csumStart: 34, csumOffset: 16 };

/** A packet to send in `parts` buffers; with `payload` bytes more than the MTU it asks for segments. */
function largePacket(ringCore: RingCore, destination: string, payload: number, parts: number): PacketBuffer | null {
  const { bytes, tcp } = tcpPacket(new Uint8Array(payload), { checksum: 'partial' });
  bytes.splice(16, 4, ...destination.split('.').map(Number));
  const first = ringCore.getBufferTx();
  if (first === null) return null;
  const size = Math.ceil(payload / parts);
  first.bytes.set(bytes.slice(0, 40));
  first.length = 40;
  for (let done = 0; done < payload; done += size) {
    const part = ringCore.getBufferTx();
    if (part === null) {
      ringCore.release(first);
      return null;
    }
    part.length = Math.min(size, payload - done);
    first.append(part);
  }
  first.requestChecksum(tcp, 16);
  if (payload > 1460) first.requestSegmentation(1000);
  return first;
}

/** Steps of ports whose device has offloads, besides those of every port. */
const offloadStep = fc.oneof(
  {
    weight: 3,
    arbitrary: ofPort('receives large packets', (port, n) => {
      for (let i = 0; i < n; i++) port.device.inject(LARGE, { ...LARGE_HOW, parts: [60 + n, 100 * n] });
    }),
  },
  {
    weight: 2,
    arbitrary: ofPort('receives packets in several buffers, some of them for others', (port, n) => {
      for (let i = 0; i < n; i++) {
        const frame = flowPacket(2000 + i, i);
        if (i % 3 === 0) frame[0] = 0x50;
        port.device.inject(frame, { parts: [42, 1], flags: CHECKSUM_VERIFIED });
      }
    }),
  },
  {
    weight: 1,
    arbitrary: ofPort('hears ARP in two buffers', (port) => void port.device.inject(arp(), { parts: [20] })),
  },
  {
    weight: 3,
    arbitrary: ofCore('sends large packets', (ringCore, _, n) => {
      for (let i = 0; i < n; i++) {
        const destination = i % 4 === 0 ? `10.0.0.${10 + (i % 20)}` : PEER_IP;
        const packet = largePacket(ringCore, destination, 200 * n, 1 + (i % 9));
        if (packet !== null && !ringCore.addBufferToRing(packet)) ringCore.release(packet);
      }
    }),
  },
  {
    weight: 3,
    arbitrary: ofCore('sends on what it received', (ringCore, hand, n) => {
      for (const buffer of hand.splice(0, n)) {
        swapIpv4Addresses(ringCore.memory.u8, buffer.offset);
        if (!ringCore.addBufferToRing(buffer)) ringCore.release(buffer);
      }
    }),
  },
  {
    weight: 1,
    arbitrary: ofCore('puts a header before what it received', (ringCore, hand) => {
      const head = ringCore.getBufferTx();
      const rest = hand.pop();
      if (head === null || rest === undefined) {
        if (head !== null) ringCore.release(head);
        if (rest !== undefined) ringCore.release(rest);
        return;
      }
      packetTo(PEER_IP, head);
      head.append(rest);
      if (!ringCore.addBufferToRing(head)) ringCore.release(head);
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
  const check = (
    mode: '1kb' | '2kb',
    steps: readonly { name: string; step: Step }[],
    fake: FakeDeviceOptions,
  ): void => {
    const neighbours = { [PEER_IP]: '52:54:00:00:00:02' };
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
    expect(port.tx.isSending).toBe(false);
    expect(port.device.pool.available).toBe(port.interconnect.plan.rxBuffers);
    for (let index = 0; index < CORES; index++) expect(port.rx.rx.buffers.held[index]).toBe(0);
  };
  const stepsOf = (each: fc.Arbitrary<{ name: string; step: Step }>) =>
    fc.array(each, { minLength: 20, maxLength: 200, size: 'max' });

  it('after each of any steps; at the end all are home and every frame was counted', () => {
    fc.assert(
      fc.property(stepsOf(step), fc.boolean(), (steps, holdTx) => check(mode, steps, { holdTx, txRing: 128 })),
      { numRuns: 25 },
    );
  });

  it('of packets in several buffers, too, whatever the device does', { timeout: 120_000 }, () => {
    const either = fc.oneof({ weight: 2, arbitrary: step }, { weight: 1, arbitrary: offloadStep });
    fc.assert(
      fc.property(stepsOf(either), fc.boolean(), offloadBits, (steps, holdTx, offloads) =>
        check(mode, steps, { holdTx, txRing: 128, offloads }),
      ),
      { numRuns: 15 },
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
