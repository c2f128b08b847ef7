/**
 * A device's transmit queue on a thread that does not own the device (the Tx worker of the 2 KB layout). The owner
 * starts, resets and closes the device. The borrower follows, and is never in the ring while the owner does any of
 * that.
 */
import { receiveMessageOnPort } from 'node:worker_threads';
import { BufferPool } from '../../../rings/buffer-pool.js';
import { CounterBlock } from '../../../rings/counters.js';
import type { MemoryViews } from '../../memory/index.js';
import { openDoorbell } from '../driver/device-doorbell.js';
import { sameTxQueue, splitTxQueue } from '../driver/make-queues.js';
import type { TxQueue } from '../driver/queue.js';
import type { TxCounterName } from '../driver/queue-counts.js';
import {
  type BorrowerMessage,
  ENDED,
  LINK,
  type OwnerMessage,
  SEEN,
  STATE,
  TAKEN,
  type TxLoan,
  type TxStart,
} from './tx-loan.js';

/** Stands for "not in the ring". No state has this number. */
const OUTSIDE = -1;

export class BorrowedTx {
  /** The memory that the buffers lie in. */
  readonly memory: MemoryViews;
  /**
   * Buffers that the device has sent, that were dropped, or that were in the ring when the device was lost. Starts
   * empty and has room for all buffers. The caller drains it and returns each buffer to where it came from.
   */
  readonly sent: BufferPool;
  /**
   * Called on this thread when the queue becomes usable ('up'), when it stops being usable ('down': the device is being
   * restarted, or its ring is broken), and when it will never be usable again ('closed'). Comes from the event loop or
   * from within a burst.
   */
  onStateChange: ((state: 'up' | 'down' | 'closed') => void) | null = null;
  /** Called on this thread when the link has come up or gone down; comes as {@link onStateChange} does. */
  onLinkChange: (() => void) | null = null;

  private readonly control: Int32Array;
  private tx: TxQueue;
  private readonly counts: CounterBlock<TxCounterName>;
  /** The state in which the ring may be used now, or {@link OUTSIDE}. */
  private inside = OUTSIDE;
  /** The last state that was acted on. */
  private followed = 0;
  /** The last start that was received. */
  private next: TxStart | null = null;
  /** A message said that the link has changed, and the caller has not been told yet. */
  private hasLinkNews = false;

  /** Takes up a loan, once. While the loan lasts, it keeps this thread's event loop alive. */
  constructor(private readonly loan: TxLoan) {
    const { name, memory, geometry, layout, tables, control, counters, port } = loan;
    this.memory = memory;
    this.control = control;
    this.sent = new BufferPool(geometry, 0, 0);
    this.counts = CounterBlock.attach(counters);
    // The queue counts straight into the loan's counters, on from what earlier borrowers counted.
    this.tx = splitTxQueue(name, memory, layout, this.sent, tables, this.counts.values);
    port.on('message', (message: OwnerMessage) => {
      this.accept(message);
      this.follow();
    });
    // The owner's thread has ended, or has closed the device without waiting for this thread.
    port.on('close', () => this.end());
    this.follow();
  }

  /** True while the queue can be used and the link is up. */
  get isUp(): boolean {
    return Atomics.load(this.control, STATE) === this.inside && Atomics.load(this.control, LINK) === 1;
  }

  /** True once the device is closed, or {@link close} was called. */
  get isClosed(): boolean {
    return this.followed === ENDED;
  }

  /**
   * Number of descriptors in the ring: one per packet, or per part of one. The buffers of a lost device stay there until
   * it is back, and then come to {@link sent}.
   */
  get inFlight(): number {
    return this.tx.inFlight;
  }

  /**
   * Sends the first `count` frames, in order. Returns how many were taken: 0 while the device is away. The rest stay
   * the caller's.
   */
  txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number {
    if (Atomics.load(this.control, STATE) !== this.inside && !this.follow()) return 0;
    const { tx } = this;
    const taken = tx.burst(handles, lengths, count);
    if (tx.broken !== '') this.breakOff();
    return taken;
  }

  /**
   * Puts what the device has sent into {@link sent}. A loop with nothing to send must call it now and then, because
   * that is how it learns that the owner wants the ring to be left.
   */
  reclaimTx(): void {
    if (Atomics.load(this.control, STATE) !== this.inside && !this.follow()) return;
    this.tx.reclaim();
    if (this.tx.broken !== '') this.breakOff();
  }

  /** Totals of the queue since the device was opened. */
  counters(): Record<TxCounterName, number> {
    return this.counts.snapshot();
  }

  /** Gives the queue back. Packets in the ring are still sent; their buffers come back on the owner's side. */
  close(): void {
    if (this.isClosed) return;
    this.leave();
    this.end();
  }

  /** Acts on a new state. Returns whether the ring may be used now. The argument why this is right: tx-loan.ts. */
  private follow(): boolean {
    const { control } = this;
    while (!this.isClosed) {
      const state = Atomics.load(control, STATE);
      if (state === this.followed) break;
      const wasInside = this.inside !== OUTSIDE;
      this.leave();
      if (state === ENDED) {
        this.end();
        break;
      }
      const isStarted = (state & 1) === 1;
      // The start message is on its way. Until it comes there is no ring to enter and nothing to answer.
      if (isStarted && !this.hasStart(state)) break;
      this.followed = state;
      Atomics.store(control, SEEN, state);
      if (!isStarted) {
        this.post({ kind: 'left' });
        if (wasInside) this.onStateChange?.('down');
      } else if (Atomics.load(control, STATE) === state) {
        this.enter();
      }
    }
    if (this.hasLinkNews) {
      this.hasLinkNews = false;
      this.onLinkChange?.();
    }
    return this.inside === this.followed;
  }

  private enter(): void {
    const { state, packed, inOrder, size, eventIdx, longestFrame, offloads, doorbell } = this.next!;
    this.tx = sameTxQueue(packed, this.tx, this.memory, this.sent);
    this.tx.adopt(size, eventIdx, longestFrame, inOrder, offloads);
    this.tx.attach(openDoorbell(doorbell));
    this.inside = state;
    this.onStateChange?.('up');
  }

  /** Whether the start with this state was received. A loop that never returns to its event loop receives it here. */
  private hasStart(state: number): boolean {
    while (this.next?.state !== state) {
      const received = receiveMessageOnPort(this.loan.port) as { message: OwnerMessage } | undefined;
      if (received === undefined) return false;
      this.accept(received.message);
    }
    return true;
  }

  /** Takes what a message brings. The buffers of an outdated start are taken as well: nobody else has them. */
  private accept(message: OwnerMessage): void {
    if (message.kind === 'link') this.hasLinkNews = true;
    if (message.kind !== 'start' || this.isClosed) return;
    for (const handle of message.returned) this.sent.put(handle);
    Atomics.store(this.control, TAKEN, message.state);
    this.next = message;
  }

  /** Leaves the ring, and takes along what the device has sent so far. */
  private leave(): void {
    if (this.inside === OUTSIDE) return;
    this.inside = OUTSIDE;
    if (this.tx.broken === '') this.tx.reclaim();
  }

  /** The device broke the protocol: the ring is not used until the owner has restarted the device. */
  private breakOff(): void {
    this.post({ kind: 'broken', state: this.inside, reason: this.tx.broken });
    this.leave();
    this.onStateChange?.('down');
  }

  private end(): void {
    if (this.isClosed) return;
    this.inside = OUTSIDE;
    this.followed = ENDED;
    Atomics.store(this.control, SEEN, ENDED);
    this.post({ kind: 'left' });
    this.loan.port.close();
    this.onStateChange?.('closed');
  }

  private post(message: BorrowerMessage): void {
    this.loan.port.postMessage(message);
  }
}
