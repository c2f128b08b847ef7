/** What the kernel-bypass threads of a port do, for `port.status()`. */
import { type L2Counters, sumOf } from '../counters.js';
import type { WorkerStatus } from '../port.js';
import type { Doorbell } from './shared/doorbell.js';
import type { Interconnect } from './shared/interconnect.js';

/** A thread, as far as its status needs it. */
interface Thread {
  readonly title: string;
  readonly isAlive: boolean;
}

/**
 * Returns a status per thread.
 * @param rx the thread that receives; null until it was started
 * @param tx the thread that sends; null when the other one sends as well
 */
export function workerStatuses(
  interconnect: Interconnect,
  rx: Thread | null,
  tx: Thread | null,
  rxCounters: L2Counters,
  txCounters: L2Counters,
): WorkerStatus[] {
  const status = (
    role: WorkerStatus['role'],
    thread: Thread | null,
    { isAsleep }: Doorbell,
    ...blocks: L2Counters[]
  ): WorkerStatus[] => {
    if (thread === null) return [];
    const { title, isAlive } = thread;
    return [{ title, role, isAlive, isAsleep, counters: sumOf(blocks) }];
  };
  const rxDoorbell = interconnect.rxDoorbell();
  // Without a Tx worker, one thread receives and sends.
  if (tx === null) return status('RxTx', rx, rxDoorbell, rxCounters, txCounters);
  return [...status('Tx', tx, interconnect.txDoorbell(), txCounters), ...status('Rx', rx, rxDoorbell, rxCounters)];
}
