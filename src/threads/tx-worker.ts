/**
 * The seed's Tx_Thread (2 KB): sends what the cores and the Rx worker have queued, on a transmit queue that the Rx
 * worker lends it.
 */
import { workerData } from 'node:worker_threads';
import { BorrowedTx } from '../../drivers/virtio/lending/borrowed-tx.js';
import type { TxLoan } from '../../drivers/virtio/lending/tx-loan.js';
import { CounterBlock } from '../../rings/counters.js';
import { PacketTable } from '../../rings/packet-table.js';
import { CapturePoint } from '../link/capture-point.js';
import { runLoop } from '../link/run-loop.js';
import { obeyCapture } from './captures.js';
import { TxMainLoop } from './loops/tx-main-loop.js';
import { type Work, WorkerLoop } from './loops/worker-loop.js';
import type { CommonStart, Order } from './messages.js';
import { DoorbellWake } from './shared/doorbell-wake.js';
import { Interconnect } from './shared/interconnect.js';
import { RingReturn } from './shared/ring-return.js';
import { nameAndPin, onOrder, report, runThread } from './thread-main.js';

const clock = (): number => performance.now();

await runThread(async () => {
  const start = workerData as CommonStart;
  const stop = new AbortController();
  let lend = (_: TxLoan | null): void => {};
  let retire = (_: number): void => {};
  let capture = (_: Order): void => {};
  const lent = new Promise<TxLoan | null>((resolve) => {
    lend = resolve;
  });
  onOrder((order) => {
    if (order.type === 'lend') lend(order.loan);
    else if (order.type === 'retireTx') retire(order.core);
    else if (order.type !== 'stop') capture(order);
    else {
      stop.abort();
      // If there was no loan before, there will be none.
      lend(null);
    }
  });
  await nameAndPin(start);
  const loan = await lent;
  if (loan === null) return undefined;
  const tx = new BorrowedTx(loan);
  const interconnect = new Interconnect(start.interconnect);
  const queues = [...interconnect.rings('txQueue'), interconnect.rxWorkersTxQueue()];
  const rxReturn = new RingReturn(interconnect.rxReturn());
  const counters = CounterBlock.attach(start.counters);
  const words = loan.tables.chains?.words;
  const table = words === undefined ? null : new PacketTable(0, words);
  const point = new CapturePoint(loan.memory, loan.geometry, table);
  capture = (order) => obeyCapture(point, order);
  const { coreBurst, idle } = start.config;
  const loop = new TxMainLoop(tx, interconnect, queues, rxReturn, coreBurst, counters, table, point);
  const work: Work = {
    poll: () => loop.poll(),
    tick: () => {},
    beforeSleep: () => {},
    // No interrupt tells that the ring has room again, or that a frame was sent: look after a millisecond.
    nextDeadline: () => (loop.hasWork || loop.isSending ? clock() + 1 : Number.POSITIVE_INFINITY),
  };
  const wakeSource = new DoorbellWake(tx, interconnect.txListener(), () => loop.hasWork);
  tx.onStateChange = wakeSource.wake;
  tx.onLinkChange = wakeSource.wake;
  const runnable = new WorkerLoop(idle, work, wakeSource, counters, clock);
  retire = (core) => report({ type: 'retired', core, inFlight: loop.retire(core) });
  report({ type: 'ready' });
  await runLoop(runnable, runnable, { signal: stop.signal });
  // The last packets of the cores, which have ended already.
  loop.drain();
  tx.close();
  return undefined;
});
