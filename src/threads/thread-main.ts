/** What all threads of a port have in common: they name and pin themselves, take orders, and report how they ended. */
import { parentPort, type TransferListItem } from 'node:worker_threads';
import { nameThread, pinPollingThread } from '../../drivers/libc/index.js';
import { type CommonStart, copyThrown, type Order, type Report } from './messages.js';

/** How long a thread that has reported its end may go on, in ms. */
const LEFTOVERS_MS = 50;

/** Sends a report to the port. */
export function report(message: Report, transfer: readonly TransferListItem[] = []): void {
  parentPort?.postMessage(message, transfer);
}

/** Gives the calling thread its name, and pins it to its CPU. */
export async function nameAndPin({ cpu, name }: CommonStart): Promise<void> {
  nameThread(name);
  if (cpu === undefined) return;
  try {
    await pinPollingThread(cpu);
  } catch (error) {
    // The machine has lost CPUs, or a container may not use all of them: the thread is slower, but it works.
    report({ type: 'warning', line: `${name}: ${(error as Error).message}; it runs unpinned` });
  }
}

/** Calls `obey` with each order. The listener also keeps the thread alive while it sleeps. */
export function onOrder(obey: (order: Order) => void): void {
  parentPort?.on('message', obey);
}

/** Says whether waiting for orders and packets keeps the thread alive. */
export function keepThreadAlive(on: boolean): void {
  if (on) parentPort?.ref();
  else parentPort?.unref();
}

/**
 * Runs a thread to its end and reports how it ended.
 * @param body resolves to the totals that are to be reported
 */
export async function runThread(body: () => Promise<Readonly<Record<string, number>> | undefined>): Promise<void> {
  try {
    const totals = await body();
    report({ type: 'ended', totals });
  } catch (error) {
    report({ type: 'failed', thrown: copyThrown(error) });
  }
  parentPort?.close();
  // Timers or sockets that a stack left behind would keep the thread alive: it exits. Without any, the thread ends by
  // itself before, and loses nothing of what it has printed.
  setTimeout(() => process.exit(), LEFTOVERS_MS).unref();
}
