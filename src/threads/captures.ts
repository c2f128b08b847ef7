/** Captures of a port with kernel-bypass threads: each thread that sees the wanted packets gets a ring for their copies. */
import { type CaptureWish, DIRECTION_OUT } from '../../observe/capture/sink.js';
import { makeRecordRing, RING_BYTES } from '../../rings/record-ring.js';
import type { CapturePoint } from '../link/capture-point.js';
import type { Order } from './messages.js';

/** A thread that takes orders. */
export interface OrderedThread {
  order(order: Order): void;
}

/** The threads of a port. */
export interface CapturedThreads {
  readonly rx: OrderedThread | null;
  /** Null with 1 KB, where the Rx worker sends as well. */
  readonly tx: OrderedThread | null;
  readonly cores: readonly OrderedThread[];
}

/** Begins a capture in all threads that it concerns. Returns their rings. */
export function openCaptures({ rx, tx, cores }: CapturedThreads, wish: CaptureWish): SharedArrayBuffer[] {
  const wantsSent = (wish.directions & DIRECTION_OUT) !== 0;
  // What the cores drop never gets to the thread that sends.
  const senders = wantsSent ? [tx, ...(wish.drops ? cores : [])] : [];
  const threads = [rx, ...senders].filter((thread) => thread !== null);
  return threads.map((thread) => {
    const ring = makeRecordRing(RING_BYTES);
    thread.order({ type: 'capture', wanted: { ...wish, ring } });
    return ring;
  });
}

/** Ends a capture in all threads. */
export function closeCaptures({ rx, tx, cores }: CapturedThreads, id: number): void {
  for (const thread of [rx, tx, ...cores]) thread?.order({ type: 'endCapture', id });
}

/** Obeys an order about captures. @returns false when it is another order */
export function obeyCapture(point: CapturePoint, order: Order): boolean {
  if (order.type === 'capture') point.add(order.wanted);
  else if (order.type === 'endCapture') point.remove(order.id);
  else return false;
  return true;
}
