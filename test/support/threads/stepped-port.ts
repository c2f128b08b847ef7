/**
 * The 1 KB and the 2 KB layout on a fake device, all in one thread: the receiving and the sending loop and the cores
 * act when the test says so. It also finds the place of every buffer.
 */
import { expect } from 'vitest';
import type { BufferPool } from '../../../rings/buffer-pool.js';
import { CHAIN, ENTRY_SHIFT, LAST, NEXT } from '../../../rings/packet-table.js';
import type { SpscFanOut } from '../../../rings/spsc-fan-out.js';
import type { SpscRing } from '../../../rings/spsc-ring.js';
import type { TspmdConfig } from '../../../src/config.js';
import { createCoreCounters, createL2Counters, type L2Counters } from '../../../src/counters.js';
import type { WaitingPackets } from '../../../src/link/bursts/waiting-packets.js';
import { CapturePoint } from '../../../src/link/capture-point.js';
import type { AddressChange } from '../../../src/link/dhcp/lease.js';
import type { PacketBuffer } from '../../../src/link/packet-buffer.js';
import { resolveConfig } from '../../../src/resolve-config.js';
import { IndirectionTable } from '../../../src/rss/indirection-table.js';
import { Rss, type RssShare } from '../../../src/rss/rss.js';
import { FakeDevice, type FakeDeviceOptions } from '../../../src/testing/fake-device.js';
import { RingCore } from '../../../src/threads/core/ring-core.js';
import { RxWork } from '../../../src/threads/loops/rx-work.js';
import { TxMainLoop } from '../../../src/threads/loops/tx-main-loop.js';
import { planBuffers } from '../../../src/threads/shared/buffer-plan.js';
import { Interconnect } from '../../../src/threads/shared/interconnect.js';
import { RingReturn } from '../../../src/threads/shared/ring-return.js';
import { OUR_IP } from '../link/frames.js';

export interface SteppedPortOptions extends Partial<TspmdConfig> {
  mode?: '1kb' | '2kb';
  /** Cores of the stack. */
  stackCores?: number;
  fake?: FakeDeviceOptions;
  makeDevice?: (options: FakeDeviceOptions) => FakeDevice;
}

/** Buffers and the place that they are in. */
export interface Place {
  readonly name: string;
  readonly handles: readonly number[];
}

export class SteppedPort {
  readonly device: FakeDevice;
  readonly interconnect: Interconnect;
  readonly indirection: IndirectionTable;
  readonly rss: Rss;
  readonly rx: RxWork;
  /** The sending loop, whichever thread would run it. */
  readonly tx: TxMainLoop;
  /** Where captures see the frames of the sending loop; with 1 KB also those of the receiving one. */
  readonly txCapture: CapturePoint;
  readonly cores: RingCore[];
  readonly rxCounters = createL2Counters();
  readonly txCounters = createL2Counters();
  readonly inbound: L2Counters[];
  readonly coreCounters: L2Counters[];
  readonly warnings: string[] = [];
  readonly addresses: AddressChange[] = [];
  readonly time = { now: 1000 };
  /** Cores whose stack has failed. */
  readonly gone = new Set<number>();
  /** With 2 KB: what the Tx worker has answered, and the Rx worker has not received yet. */
  readonly retired: { core: number; inFlight: Uint8Array }[] = [];
  private readonly rxReturn: RingReturn | null;

  constructor(options: SteppedPortOptions = {}) {
    const { mode = '1kb', stackCores = 2, fake = {}, makeDevice, ...config } = options;
    const cpus = Array.from({ length: stackCores + (mode === '1kb' ? 1 : 2) }, (_, cpu) => cpu);
    const resolved = resolveConfig({
      ...{ device: 'vhost-user:/fake', ip: `${OUR_IP}/24`, app: 'echo' },
      ...{ buffers: 1024, ...config, mode, cores: cpus },
    });
    const plan = planBuffers(stackCores, resolved.buffers);
    this.interconnect = Interconnect.create(plan, mode === '2kb');
    const { buffers, rxBuffers } = plan;
    const all = { ...fake, buffers, ownBuffers: rxBuffers, separateSent: true };
    this.device = makeDevice ? makeDevice(all) : new FakeDevice(all);
    this.indirection = IndirectionTable.create(stackCores);
    this.inbound = createCoreCounters(stackCores);
    this.coreCounters = Array.from({ length: stackCores }, () => createL2Counters());
    const rss: RssShare = { ...resolved.rss, table: this.indirection.share() };
    const clock = (): number => this.time.now;
    const start = {
      ...{ config: resolved, counters: this.rxCounters.share(), txCounters: this.txCounters.share(), rss },
      coreCounters: this.inbound.map((counters) => counters.share()),
    };
    const { device, interconnect } = this;
    this.rss = Rss.attach(device.memory, rss);
    this.rx = new RxWork(device, interconnect, start, {
      warn: (line) => this.warnings.push(line),
      onAddress: (change) => this.addresses.push(change),
      onFailure: (reason) => this.warnings.push(reason),
      clock,
    });
    if (this.rx.tx !== null) {
      this.tx = this.rx.tx;
      this.txCapture = this.rx.capture;
      this.rxReturn = null;
    } else {
      const queues = [...interconnect.rings('txQueue'), interconnect.rxWorkersTxQueue()];
      this.rxReturn = new RingReturn(interconnect.rxReturn());
      const table = device.offloads === 0 ? null : device.table;
      const { coreBurst } = resolved;
      this.txCapture = new CapturePoint(device.memory, device.pool.geometry, device.table);
      const { rxReturn, txCounters, txCapture } = this;
      this.tx = new TxMainLoop(device, interconnect, queues, rxReturn, coreBurst, txCounters, table, txCapture);
    }
    interconnect.offloads = device.offloads;
    interconnect.isLinkUp = true;
    this.cores = this.coreCounters.map((counters, index) => {
      const { mtu, layer, idle } = resolved;
      const { memory, mtu: deviceMtu, pool, table } = device;
      return new RingCore(interconnect, {
        ...{ memory, geometry: pool.geometry, table, deviceMtu, index, counters, rss, clock },
        ...{ mtu, layer, idle },
      });
    });
    device.onLink = (state) => {
      interconnect.offloads = device.offloads;
      interconnect.isLinkUp = state === 'up';
      if (state === 'up') this.rx.link.announce();
    };
  }

  /** One turn of the receiving loop alone. */
  pollRx(): number {
    return this.rx.rx.poll();
  }

  /** One turn of the sending loop. */
  pollTx(): number {
    return this.tx.poll();
  }

  /** Turns of both loops, until they find nothing to do. */
  settle(): void {
    while (this.pollRx() + this.pollTx() > 0);
  }

  /** The receiving loop takes back all buffers that were returned to it. */
  collectAll(): void {
    for (let ring = 0; ring <= this.cores.length; ring++) this.rx.rx.buffers.collect();
  }

  /** Lets `ms` pass: the timers of ARP. */
  pass(ms: number): void {
    for (let end = this.time.now + ms; this.time.now < end; ) {
      this.time.now = Math.min(end, this.time.now + 50);
      this.rx.tick(this.time.now);
      this.settle();
    }
  }

  /** The stack of a core fails, and its thread ends. */
  crash(core: number): void {
    this.gone.add(core);
    const others = this.cores.flatMap(({ index }) => (this.gone.has(index) ? [] : [index]));
    if (others.length > 0) this.indirection.moveFrom(core, others);
    const inFlight = this.tx.retire(core);
    this.retired.push({ core, inFlight });
    if (this.rxReturn === null) this.deliverRetired();
  }

  /** The Tx worker's answer reaches the Rx worker. */
  deliverRetired(): void {
    for (const { core, inFlight } of this.retired.splice(0)) this.rx.rx.queues.retire(core, inFlight);
  }

  /** The sum of what all have counted. */
  counted(): Record<string, number> {
    const sum: Record<string, number> = {};
    for (const block of [this.rxCounters, this.txCounters, ...this.inbound, ...this.coreCounters]) {
      for (const [name, value] of Object.entries(block.snapshot())) sum[name] = (sum[name] ?? 0) + value;
    }
    return sum;
  }

  /** All places where buffers can be, without those of a core that is gone. */
  places(): Place[] {
    const places: Place[] = [];
    const { device, interconnect, gone } = this;
    const add = (name: string, handles: Iterable<number>): void => void places.push({ name, handles: [...handles] });
    const addPackets = (name: string, handles: Iterable<number>): void => add(name, this.buffersOf(handles));
    add('Rx pool', inPool(device.pool));
    add('device', device.heldBuffers());
    add('sent', inPool(device.sent));
    const rx = this.rx as unknown as { arpBurst: object };
    addPackets('ARP burst', inBurst(rx.arpBurst));
    addPackets('ARP queue', inRing(interconnect.rxWorkersTxQueue()));
    add('rxReturn', inRing(interconnect.rxReturn()));
    const tx = this.tx as unknown as { handles: Uint32Array; pending: number; txFrees: RingReturn[] };
    addPackets('Tx pending', tx.handles.subarray(0, tx.pending));
    if (this.rxReturn !== null) add('Tx return', inReturn(this.rxReturn));
    for (const { index } of this.cores) {
      addPackets(`core ${index}: rx_queue to come`, staged(this.rx.rx.queues.rings, index));
      addPackets(`core ${index}: tx_queue`, inRing(interconnect.ring(index, 'txQueue')));
      add(`core ${index}: txFree`, inRing(interconnect.ring(index, 'txFree')));
      add(`core ${index}: txFree to come`, inReturn(tx.txFrees[index]!));
      if (this.retired.some(({ core }) => core === index)) {
        // Until the Rx worker has heard of the end of a core, its buffers are where the core left them.
        this.addCore(index, add, (handle) => handle < interconnect.plan.rxBuffers);
      } else if (!gone.has(index)) {
        this.addCore(index, add, () => true);
      }
    }
    return places;
  }

  /** The buffers of packets, of which these are the first ones. */
  private buffersOf(handles: Iterable<number>): number[] {
    const { words } = this.device.table;
    const buffers: number[] = [];
    for (const handle of handles) {
      buffers.push(handle);
      let part = (words[handle << ENTRY_SHIFT]! & CHAIN) === 0 ? LAST : words[(handle << ENTRY_SHIFT) + NEXT]!;
      for (; part !== LAST; part = words[(part << ENTRY_SHIFT) + NEXT]!) buffers.push(part);
    }
    return buffers;
  }

  private addCore(index: number, add: (name: string, handles: number[]) => void, counts: (h: number) => boolean): void {
    const core = this.cores[index] as unknown as {
      own: BufferPool;
      waiting: WaitingPackets;
      tx: object;
      egress: object;
      received: RingReturn;
      buffers: readonly PacketBuffer[];
    };
    const addThose = (name: string, handles: number[]): void => add(`core ${index}: ${name}`, handles.filter(counts));
    const addPackets = (name: string, handles: number[]): void => addThose(name, this.buffersOf(handles));
    addPackets('rx_queue', inRing(this.interconnect.ring(index, 'rxQueue')));
    addThose('rxFree', inRing(this.interconnect.ring(index, 'rxFree')));
    addThose('rxFree to come', inReturn(core.received));
    addThose('own', inPool(core.own));
    addPackets('waiting', [...core.waiting.handles.subarray(core.waiting.head, core.waiting.tail)]);
    addPackets('burst', inBurst(core.tx));
    addPackets('parked', inLot((core.egress as { lot: object }).lot));
    addThose(
      'stack',
      core.buffers.flatMap(({ owner, handle }) => (owner !== 0 ? [handle] : [])),
    );
  }
}

/**
 * Demands that every buffer is in exactly one place, and that each core counts what its stack has. A dead core may keep
 * buffers for sending.
 */
export function expectEveryBufferOnce(port: SteppedPort): void {
  const { buffers, rxBuffers, txBuffers } = port.interconnect.plan;
  const places = port.places();
  for (const core of port.cores) {
    if (port.gone.has(core.index)) continue;
    const held = places.find(({ name }) => name === `core ${core.index}: stack`)!.handles.length;
    expect(core.counters().held_by_stack, `core ${core.index}`).toBe(held);
  }
  const where = new Int16Array(buffers).fill(-1);
  for (const [place, { name, handles }] of places.entries()) {
    for (const handle of handles) {
      const other = places[where[handle]!]?.name;
      if (other !== undefined) expect.fail(`buffer ${handle} is in two places: ${other} and ${name}`);
      where[handle] = place;
    }
  }
  expectClearTable(port);
  for (let handle = 0; handle < buffers; handle++) {
    if (where[handle] !== -1) continue;
    const owner = handle < rxBuffers ? -1 : Math.floor((handle - rxBuffers) / txBuffers);
    if (!port.gone.has(owner)) expect.fail(`buffer ${handle} of ${buffers} (${rxBuffers} of the Rx worker) is lost`);
  }
}

/** Demands that the packet table says nothing of any free buffer. */
export function expectClearTable({ device, cores, gone }: SteppedPort): void {
  const alive = cores.filter(({ index }) => !gone.has(index)) as unknown as { own: BufferPool }[];
  for (const pool of [device.pool, device.sent, ...alive.map(({ own }) => own)]) {
    for (const handle of inPool(pool)) {
      if (device.table.words[handle << ENTRY_SHIFT] !== 0) expect.fail(`buffer ${handle} is free and has flags`);
    }
  }
}

/** Demands that every received frame is in exactly one counter. */
export function expectEveryFrameInOneCounter(port: SteppedPort): void {
  const counters = port.counted();
  let sum = counters.rx_delivered! + counters.rx_arp! + counters.rx_dhcp!;
  for (const [name, value] of Object.entries(counters)) if (name.startsWith('rx_drop_')) sum += value;
  expect(sum).toBe(counters.rx_frames);
}

/** The number in packets of {@link flowPacket}. */
export function numberOf(buffer: PacketBuffer): number {
  return new DataView(buffer.bytes.buffer, buffer.bytes.byteOffset + 28).getUint32(0);
}

/** All packets that wait for a core. */
export function takeAll(core: RingCore): PacketBuffer[] {
  const packets: PacketBuffer[] = [];
  while (core.getRxCount() > 0) {
    for (let buffer = core.getBufferRx(); buffer !== null; buffer = core.getBufferRx()) packets.push(buffer);
  }
  return packets;
}

function inPool(pool: BufferPool): number[] {
  return [...pool.stack.subarray(0, pool.available)];
}

/** Producer and consumer have their own copies of the indexes; those in memory count. */
function inRing(ring: SpscRing): number[] {
  const { control, packets, mask } = ring as unknown as { control: Int32Array; packets: Int32Array; mask: number };
  const found: number[] = [];
  for (let i = control[0]!; i !== control[32]!; i = (i + 1) | 0) found.push(packets[i & mask]! & 0xffff);
  return found;
}

function inReturn(ring: RingReturn): number[] {
  return staged((ring as unknown as { out: SpscFanOut }).out, 0);
}

/** What is in a ring and not published yet. */
function staged(fan: SpscFanOut, ring: number): number[] {
  const { words, packets, tails, mask } = fan as unknown as Record<'words' | 'packets' | 'tails', Int32Array> & {
    mask: number;
  };
  const place = (_: unknown, i: number): number => words[packets[ring]! + ((tails[ring]! + i) & mask)]! & 0xffff;
  return Array.from({ length: fan.waiting(ring) }, place);
}

function inBurst(burst: object): number[] {
  const { handles, waiting } = burst as { handles: Uint32Array; waiting: number };
  return [...handles.subarray(0, waiting)];
}

function inLot(lot: object): number[] {
  const { handles, parked } = lot as { handles: Uint32Array; parked: number };
  return [...handles.subarray(0, parked)];
}
