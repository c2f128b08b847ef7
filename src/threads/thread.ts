/** What all threads of a port do alike: name and pin themselves, take orders, say how they ended. */
import { parentPort, type TransferListItem } from 'node:worker_threads';
import { nameThread, pinPollingThread } from '../../drivers/libc/index.js';
import { type CommonStart, type Order, type Report, thrownElsewhere } from './messages.js';

/** How long a thread lives on that has reported its end, in ms. */
const LEFTOVERS_MS = 50;

/** Tells the port. */
export function report(message: Report, transfer: readonly TransferListItem[] = []): void {
  parentPort?.postMessage(message, transfer);
}

/** Takes the calling thread's name and place. */
export async function settle({ cpu, name }: CommonStart): Promise<void> {
  nameThread(name);
  if (cpu === undefined) return;
  try {
    await pinPollingThread(cpu);
  } catch (error) {
    // A machine that shrank, or a container that may not use all CPUs: slower, but it works.
    report({ type: 'warning', line: `${name}: ${(error as Error).message}; it runs unpinned` });
  }
}

/** Calls `obey` with each order; also keeps the thread alive while it sleeps. */
export function onOrder(obey: (order: Order) => void): void {
  parentPort?.on('message', obey);
}

/**
 * Runs a thread to its end and says how that was.
 * @param body resolves to the totals that are to be reported
 */
export async function runThread(body: () => Promise<Readonly<Record<string, number>> | undefined>): Promise<void> {
  try {
    const totals = await body();
    report({ type: 'ended', totals });
  } catch (error) {
    report({ type: 'failed', thrown: thrownElsewhere(error) });
  }
  parentPort?.close();
  // A stack may have left timers or sockets behind, which would keep its thread: they end with it. Where there are none,
  // the thread ends by itself, and nothing that it has printed is lost.
  setTimeout(() => process.exit(), LEFTOVERS_MS).unref();
}
