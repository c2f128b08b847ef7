/** The thread that has the device: the seed's RxTx_Thread with 1 KB, its Rx_Thread with 2 KB. */
import { workerData } from 'node:worker_threads';
import type { VirtioNetDevice } from '../../drivers/virtio/virtio-net-device.js';
import { CounterBlock } from '../../rings/counters.js';
import type { AddressChange } from '../link/dhcp/lease.js';
import { firstUncaught, runLoop } from '../link/run-loop.js';
import { openDevice } from '../open-device.js';
import { obeyCapture } from './captures.js';
import { RxWork } from './loops/rx-work.js';
import { WorkerLoop } from './loops/worker-loop.js';
import type { OpenedDevice, Order, RxStart } from './messages.js';
import { DoorbellWake } from './shared/doorbell-wake.js';
import { Interconnect } from './shared/interconnect.js';
import { nameAndPin, onOrder, report, runThread } from './thread-main.js';

const onFailure = (reason: string): void => report({ type: 'noLease', reason });
const clock = (): number => performance.now();
const onAddress = (change: AddressChange): void => report({ type: 'address', change });
const warn = (line: string): void => report({ type: 'warning', line });

function described(device: VirtioNetDevice): OpenedDevice {
  const { memory, pool, table, mac, mtu, offloads, name, notice, counts } = device;
  const { buffer, start } = memory.window;
  const { geometry } = pool;
  const places = { buffer, start, bytes: memory.size, geometry, table: table.words };
  return { ...places, ...{ mac, mtu, offloads, name, notice, counters: counts.share } };
}

/** Tells the cores and the port when the link comes or goes, and announces our address when it is back. */
function followLink(device: VirtioNetDevice, interconnect: Interconnect, work: RxWork): void {
  const { cores } = interconnect.plan;
  const doorbells = Array.from({ length: cores }, (_, core) => interconnect.coreDoorbell(core));
  const set = (isUp: boolean): void => {
    // Perhaps another backend, which does other things.
    interconnect.offloads = device.offloads;
    interconnect.isLinkUp = isUp;
    for (const doorbell of doorbells) doorbell.ring();
  };
  set(device.isUp);
  device.onLink = (state, reason) => {
    set(state === 'up');
    if (state === 'up') work.link.announce();
    report({ type: 'link', state, reason });
  };
  device.onAnnounce = () => work.link.announce();
}

await runThread(async () => {
  const start = workerData as RxStart;
  const { config } = start;
  // Pinned before the memory is made, because its pages come from the NUMA node where this thread runs.
  await nameAndPin(start);
  const interconnect = new Interconnect(start.interconnect);
  const { plan, hasTxWorker } = interconnect;
  const stop = new AbortController();
  let obey = (_: Order): void => {};
  onOrder((order) => {
    if (order.type === 'stop') stop.abort();
    else obey(order);
  });
  const sharing = {
    ownBuffers: { first: 0, end: plan.rxBuffers },
    ...(hasTxWorker ? { lendTx: true } : { separateSent: true }),
  };
  const device = await openDevice(config, { warn, signal: stop.signal }, sharing).catch((error: Error) => {
    // Told to stop while it waited for a backend: that is no failure.
    if (!stop.signal.aborted) throw error;
  });
  if (device === undefined) return undefined;
  try {
    const work = new RxWork(device, interconnect, start, { warn, onAddress, onFailure, clock });
    const wakeSource = new DoorbellWake(device, interconnect.rxListener(), () => work.hasWork, device);
    const loop = new WorkerLoop(config.idle, work, wakeSource, CounterBlock.attach(start.counters), clock);
    followLink(device, interconnect, work);
    obey = (order) => {
      if (obeyCapture(work.capture, order)) return;
      if (order.type === 'setAddress') work.link.setAddress(order.change);
      else if (order.type === 'release') {
        work.link.release();
        report({ type: 'released' });
      } else if (order.type === 'announce') work.link.announce();
      else if (order.type === 'retireRx') work.rx.queues.retire(order.core, order.inFlight);
      else if (order.type === 'retireTx' && work.tx !== null)
        work.rx.queues.retire(order.core, work.tx.retire(order.core));
    };
    const loan = hasTxWorker ? device.lendTx() : null;
    report({ type: 'opened', device: described(device), loan }, loan === null ? [] : [loan.port]);
    if (config.isDhcp) work.link.acquire();
    // While the loop sleeps, wake-ups and timers poll for it. The device must be closed when one of them throws.
    await Promise.race([runLoop(loop, loop, { signal: stop.signal }), firstUncaught()]);
    work.rx.queues.publishAll();
    // The last packets of the cores, which have ended already.
    work.tx?.drain();
    device.counts.publish();
  } finally {
    await device.close();
  }
  return undefined;
});
