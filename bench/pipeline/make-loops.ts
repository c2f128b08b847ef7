/**
 * Makes the receiving loop, the sending loop and the cores over an {@link EndlessNic}, as the workers of `tspmd run`
 * make them. They can run in any thread.
 */
import type { MemoryViews } from '../../drivers/memory/index.js';
import type { NetDevice } from '../../drivers/net-device.js';
import { PacketTable } from '../../rings/packet-table.js';
import { createCoreCounters, createL2Counters } from '../../src/counters.js';
import { BURST, TxBurst } from '../../src/link/bursts/tx-burst.js';
import { LinkLayer } from '../../src/link/link-layer.js';
import type { FrameSink } from '../../src/link/lower-layer.js';
import { Rss, type RssShare } from '../../src/rss/rss.js';
import { RingCore } from '../../src/threads/core/ring-core.js';
import { RxMainLoop } from '../../src/threads/loops/rx-main-loop.js';
import { TxMainLoop } from '../../src/threads/loops/tx-main-loop.js';
import { defaultBuffers, planBuffers } from '../../src/threads/shared/buffer-plan.js';
import type { Interconnect } from '../../src/threads/shared/interconnect.js';
import { RingReturn } from '../../src/threads/shared/ring-return.js';
import { geometryOf } from '../common/memory-nic.js';
import { EndlessNic } from './endless-nic.js';
import { LINK } from './network.js';

/** Packets per turn of a core, as `tspmd run` has it by default. */
const CORE_BURST = BURST;
/** Packets until the sequence of flows begins again: some bursts for each of 64 cores, and each of 100,000 flows. */
export const PERIOD = 4096 * BURST;
const clock = (): number => performance.now();

/** Plans the buffers as `init` does by default. */
export const planFor = (cores: number) => planBuffers(cores, defaultBuffers(cores));

/** Makes the device of a layout with `cores` cores. Layout single gets as many buffers. */
export function nicFor(cores: number, flows: number, separateSent: boolean, memory?: SharedArrayBuffer): EndlessNic {
  const { buffers, rxBuffers, deviceRing } = planFor(cores);
  const place = memory === undefined ? {} : { memory };
  const period = PERIOD;
  return new EndlessNic({ buffers, rxBuffers, ring: deviceRing, flows, period, separateSent, ...place });
}

/** Makes the receiving loop. */
export function rxLoop(nic: NetDevice, interconnect: Interconnect, share: RssShare): RxMainLoop {
  const { memory, pool, table: packets } = nic;
  const counters = createL2Counters();
  const inbound = createCoreCounters(interconnect.plan.cores);
  const arpQueue = interconnect.rxWorkersTxQueue();
  const arpSink: FrameSink = {
    ...{ memory, pool, table: packets, isUp: true },
    txBurst: (handles, lengths, count) => arpQueue.enqueueBurst(handles, lengths, 0, count),
  };
  const arp = new TxBurst(arpSink, counters);
  const [table, own] = [interconnect.neighbourTable(), interconnect.hostMemory()];
  const link = new LinkLayer(nic, pool.geometry.shift, arp, counters, clock, LINK, table, own);
  return new RxMainLoop(nic, interconnect, link, arp, Rss.attach(memory, share), 'ip', counters, inbound);
}

/** Makes the sending loop. `rx` is the receiving loop when both run in the same thread. */
export function txLoop(nic: NetDevice, interconnect: Interconnect, rx?: RxMainLoop): TxMainLoop {
  const queues = [...interconnect.rings('txQueue'), interconnect.rxWorkersTxQueue()];
  const rxReturn =
    rx === undefined || interconnect.hasTxWorker
      ? new RingReturn(interconnect.rxReturn())
      : { put: (handle: number) => rx.buffers.takeBack(handle), flush: () => {} };
  return new TxMainLoop(nic, interconnect, queues, rxReturn, CORE_BURST, createL2Counters());
}

/** Makes a core. @param time the clock of the core, in ms */
export function ringCore(
  interconnect: Interconnect,
  index: number,
  memory: MemoryViews,
  rss: RssShare,
  time = clock,
): RingCore {
  const geometry = geometryOf(interconnect.plan.buffers);
  return new RingCore(interconnect, {
    ...{ memory, geometry, table: new PacketTable(geometry.count), deviceMtu: 1500, index },
    ...{ layer: 'ip', idle: 'spin', counters: createL2Counters(), rss, clock: time },
  });
}
