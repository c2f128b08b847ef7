/** The thread that has the device: with 1 KB the seed's RxTx_Thread, with 2 KB its Rx_Thread. */
import { workerData } from 'node:worker_threads';
import type { VirtioNetDevice } from '../../drivers/virtio/virtio-net-device.js';
import { CounterBlock } from '../../rings/counters.js';
import { runLoop } from '../link/run-loop.js';
import { openDevice } from '../open-device.js';
import { Interconnect } from './interconnect.js';
import { RxSide } from './loops/rx-side.js';
import { DeviceOrDoorbell, WorkerLoop } from './loops/worker-loop.js';
import type { OpenedDevice, Order, RxStart } from './messages.js';
import { onOrder, report, runThread, settle } from './thread.js';

const clock = (): number => performance.now();
const warn = (line: string): void => report({ type: 'warning', line });

function described({ memory, pool, mac, mtu, name, notice, counts }: VirtioNetDevice): OpenedDevice {
  const { buffer, start } = memory.window;
  const { geometry } = pool;
  return { ...{ buffer, start, bytes: memory.size, geometry }, ...{ mac, mtu, name, notice, counters: counts.share } };
}

/** Tells the cores and the port of the link, and announces our address when it is back. */
function followLink(device: VirtioNetDevice, interconnect: Interconnect, side: RxSide): void {
  const { cores } = interconnect.plan;
  const doorbells = Array.from({ length: cores }, (_, core) => interconnect.coreDoorbell(core));
  const set = (isUp: boolean): void => {
    interconnect.isLinkUp = isUp;
    for (const doorbell of doorbells) doorbell.ring();
  };
  set(device.isUp);
  device.onLink = (state, reason) => {
    set(state === 'up');
    if (state === 'up') side.link.announce();
    report({ type: 'link', state, reason });
  };
  device.onAnnounce = () => side.link.announce();
}

/**
 * Rejects with what is thrown outside of the loop's turn: while the loop sleeps, wake-ups and timers poll for it. The device
 * must not be left running then, either. What follows the first is but a consequence.
 */
function thrownElsewhere(): Promise<never> {
  return new Promise((_, reject) => process.on('uncaughtException', reject));
}

await runThread(async () => {
  const start = workerData as RxStart;
  const { config } = start;
  // Before the memory is made: its pages come from where this thread runs.
  await settle(start);
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
    // Told to stop while it waited for a backend: nothing has failed.
    if (!stop.signal.aborted) throw error;
  });
  if (device === undefined) return undefined;
  try {
    const side = new RxSide(device, interconnect, start, warn, clock);
    const wakeSource = new DeviceOrDoorbell(device, interconnect.rxListener(), () => side.hasWork);
    const loop = new WorkerLoop(config.idle, side, wakeSource, CounterBlock.attach(start.counters), clock);
    followLink(device, interconnect, side);
    obey = (order) => {
      if (order.type === 'announce') side.link.announce();
      else if (order.type === 'retireRx') side.rx.retire(order.core, order.inFlight);
      else if (order.type === 'retireTx' && side.tx !== null) side.rx.retire(order.core, side.tx.retire(order.core));
    };
    const loan = hasTxWorker ? device.lendTx() : null;
    report({ type: 'opened', device: described(device), loan }, loan === null ? [] : [loan.port]);
    await Promise.race([runLoop(loop, loop, { signal: stop.signal }), thrownElsewhere()]);
    side.rx.handAll();
    // The last packets of the cores, which have ended before.
    side.tx?.drain();
    device.counts.publish();
  } finally {
    await device.close();
  }
  return undefined;
});
