/** Captures of a port with kernel-bypass threads: each thread that sees the wanted packets gets a ring for their copies. */
import { type CaptureWish, DIRECTION_OUT } from '../../observe/capture/sink.js';
import { makeRecordRing, RING_BYTES } from '../../rings/record-ring.js';
import type { PortCaptures } from '../base-port.js';
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

export class ThreadCaptures implements PortCaptures {
  constructor(private readonly threads: () => CapturedThreads) {}

  open(wish: CaptureWish): SharedArrayBuffer[] {
    const { rx, tx, cores } = this.threads();
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

  close(id: number): void {
    const { rx, tx, cores } = this.threads();
    for (const thread of [rx, tx, ...cores]) thread?.order({ type: 'endCapture', id });
  }
}

/** Obeys an order about captures. @returns false when it is another order */
export function obeyCapture(point: CapturePoint, order: Order): boolean {
  if (order.type === 'capture') point.add(order.wanted);
  else if (order.type === 'endCapture') point.close(order.id);
  else return false;
  return true;
}
