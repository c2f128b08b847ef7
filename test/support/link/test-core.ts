/** A core on a fake device with a clock that the test turns, and the steps that most tests of the layer share. */
import { expect } from 'vitest';
import type { BaseCore } from '../../../src/link/base-core.js';
import type { Core } from '../../../src/link/core.js';
import type { PacketBuffer } from '../../../src/link/packet-buffer.js';
import { SingleCore, type SingleCoreOptions } from '../../../src/link/single-core.js';
import { FakeDevice, type FakeDeviceOptions } from '../../../src/testing/fake-device.js';
import { parseIpv4 } from '../../../src/wire/address.js';
import { expectEveryBufferOnce, expectEveryFrameInOneCounter, SteppedPort } from '../threads/stepped-port.js';
import { arp, ipv4, isArp, OUR_IP, PEER_IP } from './frames.js';

export interface TestCore<AnyCore extends BaseCore = SingleCore> {
  core: AnyCore;
  device: FakeDevice;
  warnings: string[];
  /** Milliseconds; set it to let time pass, then tick. */
  time: { now: number };
  /** Lets `ms` pass: ticks every 50 ms, as a polling core would. */
  pass(ms: number): void;
  /** The port of a core without its own device. */
  port?: SteppedPort;
}

export function makeCore(options: Partial<SingleCoreOptions> = {}, fake: FakeDeviceOptions = {}): TestCore {
  const device = new FakeDevice(fake);
  const warnings: string[] = [];
  const time = { now: 1000 };
  const core = new SingleCore(device, {
    address: parseIpv4(OUR_IP),
    prefixLength: 24,
    warn: (line) => warnings.push(line),
    clock: () => time.now,
    ...options,
  });
  const pass = (ms: number): void => {
    for (let end = time.now + ms; time.now < end; ) {
      time.now = Math.min(end, time.now + 50);
      core.tick(time.now);
    }
  };
  return { core, device, warnings, time, pass };
}

/** What the tests of both kinds of cores can choose. */
export type EitherOptions = Pick<SingleCoreOptions, 'layer' | 'mtu' | 'acceptBroadcast'>;
export type MakeEither = (options?: EitherOptions, fake?: FakeDeviceOptions) => TestCore<BaseCore>;

/** A core with rings, alone on its port. The other thread of the port acts whenever the core does something. */
export function makeRingCore(options: EitherOptions = {}, fake: FakeDeviceOptions = {}): TestCore<BaseCore> {
  const port = new SteppedPort({ stackCores: 1, buffers: 1024, fake, ...(options as object) });
  const core = port.cores[0]!;
  const settleAround = <Args extends unknown[], Result>(call: (...args: Args) => Result) => {
    return (...args: Args): Result => {
      port.settle();
      const result = call.apply(core, args);
      port.settle();
      return result;
    };
  };
  core.getRxCount = settleAround(core.getRxCount);
  core.addBufferToRing = settleAround(core.addBufferToRing);
  core.flush = settleAround(core.flush);
  const { device, warnings, time } = port;
  return { core, device, warnings, time, pass: (ms) => port.pass(ms), port };
}

/** For `describe.each`: the tests that hold for a core that has the vNIC, and for one that has rings. */
export const EITHER_CORE: [string, MakeEither][] = [
  ['a core that has the vNIC', makeCore],
  ['a core that has rings', makeRingCore],
];

/** Handles the frames, and sends what they cause. */
export function receive({ core, device }: TestCore<BaseCore>, ...frames: Uint8Array[]): void {
  for (const frame of frames) device.inject(frame);
  core.getRxCount();
  core.flush();
}

/** The frames that were sent: the ARP packets, and all others. */
export const arpsOf = ({ device }: TestCore<BaseCore>): Uint8Array[] => device.frames.filter(isArp);
export const packetsOf = ({ device }: TestCore<BaseCore>): Uint8Array[] =>
  device.frames.filter((frame) => !isArp(frame));

/** Makes PEER_IP known to the core, and forgets the frames that were sent so far. */
export function learnPeer(t: TestCore<BaseCore>, ip = PEER_IP): void {
  receive(t, arp({ senderIp: ip }));
  t.device.frames.length = 0;
  t.device.txBursts.length = 0;
}

/** A buffer with a packet to `destination`. */
export function packetTo(core: Core, destination: string, payload: number[] = [1, 2, 3, 4]): PacketBuffer {
  const buffer = core.getBufferTx();
  if (buffer === null) throw new Error('no buffer');
  const packet = ipv4(payload, { source: OUR_IP, destination });
  buffer.bytes.set(packet);
  buffer.length = packet.length;
  return buffer;
}

/** Demands that every buffer is in exactly one place; the test itself holds `mine`. Call it at quiet moments. */
export function expectNoBufferLost({ core, device, port }: TestCore<BaseCore>, mine = 0): void {
  if (port !== undefined) {
    expectEveryBufferOnce(port);
    return;
  }
  const { waiting, pending, parked } = core.held();
  const accounted = device.pool.available + device.held + waiting + pending + parked + mine;
  expect(accounted).toBe(device.pool.geometry.count);
}

/** What the core, and the threads that work for it, have counted. */
export function countersOf({ core, port }: TestCore<BaseCore>): Readonly<Record<string, number>> {
  return port?.counted() ?? core.counters();
}

/** Demands that every received frame is in exactly one counter. */
export function expectEveryFrameCounted({ core, port }: TestCore<BaseCore>): void {
  if (port !== undefined) {
    expectEveryFrameInOneCounter(port);
    return;
  }
  const counters = core.counters();
  let sum = counters.rx_delivered! + counters.rx_arp! + counters.rx_dhcp!;
  for (const [name, value] of Object.entries(counters)) if (name.startsWith('rx_drop_')) sum += value;
  expect(sum).toBe(counters.rx_frames);
}
