/**
 * A device's transmit queue on a thread that does not own the device (the Tx worker of the 2 KB layout). The owner starts,
 * resets and closes the device; this side follows, and is never in the ring while the owner does any of it.
 */
import { receiveMessageOnPort } from 'node:worker_threads';
import { BufferPool } from '../../../rings/buffer-pool.js';
import { CounterBlock } from '../../../rings/counters.js';
import type { MemoryViews } from '../../memory/index.js';
import { openDoorbell } from '../driver/device-doorbell.js';
import { sameTxQueue, type TxQueue } from '../driver/queues.js';
import { DriverTxQueue } from '../driver/split-tx.js';
import {
  type BorrowerMessage,
  ENDED,
  LINK,
  type OwnerMessage,
  SEEN,
  STATE,
  TAKEN,
  TxCounter,
  type TxCounterName,
  type TxLoan,
  type TxStart,
} from './tx-loan.js';

/** In place of a state in which the ring may be used: no state has this number. */
const OUTSIDE = -1;

export class BorrowedTx {
  /** The memory that the buffers lie in. */
  readonly memory: MemoryViews;
  /**
   * Buffers that the device has sent, that were dropped, or that were in the ring when the device was lost. Starts empty,
   * has room for all; the caller drains it, and gives each buffer back to where it came from.
   */
  readonly sent: BufferPool;
  /**
   * Called on this thread when the queue can be used ('up'), when it cannot ('down': the device is being restarted, or its
   * ring is broken), and when it never will be again ('closed'). Out of the event loop, or from within a burst.
   */
  onStateChange: ((state: 'up' | 'down' | 'closed') => void) | null = null;
  /** Called on this thread when the link has come up or gone down: as {@link onStateChange}. */
  onLinkChange: (() => void) | null = null;

  private readonly control: Int32Array;
  private tx: TxQueue;
  private readonly counts: CounterBlock<TxCounterName>;
  /** The state in which the ring may be used, or {@link OUTSIDE}. */
  private inside = OUTSIDE;
  /** The last state that was acted on. */
  private followed = 0;
  /** The last start that came. */
  private next: TxStart | null = null;
  /** A message said that the link has changed, and nobody was told yet. */
  private hasLinkNews = false;

  /** Takes up a loan, once. While it lasts, it keeps this thread's event loop alive. */
  constructor(private readonly loan: TxLoan) {
    const { name, memory, geometry, layout, tables, control, counters, port } = loan;
    this.memory = memory;
    this.control = control;
    this.sent = new BufferPool(geometry, 0, 0);
    this.tx = new DriverTxQueue(name, memory, layout, this.sent, tables);
    this.counts = CounterBlock.attach(counters);
    const { values } = this.counts;
    this.tx.packets = values[TxCounter.tx_packets];
    this.tx.bytes = values[TxCounter.tx_bytes];
    this.tx.droppedBadLength = values[TxCounter.tx_dropped_bad_length];
    this.tx.kicks = values[TxCounter.tx_kicks];
    port.on('message', (message: OwnerMessage) => {
      this.accept(message);
      this.follow();
    });
    // The owner's thread is gone, or has closed the device and not waited for us.
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

  /** Buffers in the ring; those of a lost device stay there until it is back, and then come to {@link sent}. */
  get inFlight(): number {
    return this.tx.inFlight;
  }

  /**
   * Sends the first `count` frames, in order. Returns how many were taken: 0 while the device is away. The rest is still the
   * caller's.
   */
  txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number {
    if (Atomics.load(this.control, STATE) !== this.inside && !this.follow()) return 0;
    const { tx } = this;
    const taken = tx.burst(handles, lengths, count);
    if (taken > 0) this.publish();
    if (tx.broken !== '') this.breakOff();
    return taken;
  }

  /**
   * Puts what the device has sent into {@link sent}. A loop that has nothing to send calls it now and then, too: that is how
   * it learns that the owner wants the ring to be left.
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

  /** Gives the queue back. What is in the ring still goes to the device; those buffers come back on the owner's side. */
  close(): void {
    if (this.isClosed) return;
    this.leave();
    this.end();
  }

  /** Acts on the state if that is new. Returns whether the ring may be used now. tx-loan.ts has the argument. */
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
      // The start is on its way. Without it there is nothing to enter yet, nor anything to answer.
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
    const { state, packed, inOrder, size, eventIdx, longestFrame, doorbell } = this.next!;
    this.tx = sameTxQueue(packed, this.tx, this.memory, this.sent);
    this.tx.adopt(size, eventIdx, longestFrame, inOrder);
    this.tx.attach(openDoorbell(doorbell));
    this.inside = state;
    this.onStateChange?.('up');
  }

  /** Whether the start with this state has come. A loop that never returns to its event loop gets it here. */
  private hasStart(state: number): boolean {
    while (this.next?.state !== state) {
      const received = receiveMessageOnPort(this.loan.port) as { message: OwnerMessage } | undefined;
      if (received === undefined) return false;
      this.accept(received.message);
    }
    return true;
  }

  /** Takes what a start brings, also one that is out of date: nobody else has its buffers. */
  private accept(message: OwnerMessage): void {
    if (message.kind === 'link') this.hasLinkNews = true;
    if (message.kind !== 'start' || this.isClosed) return;
    for (const handle of message.returned) this.sent.put(handle);
    Atomics.store(this.control, TAKEN, message.state);
    this.next = message;
  }

  /** Out of the ring, with what the device has sent until now. */
  private leave(): void {
    if (this.inside === OUTSIDE) return;
    this.inside = OUTSIDE;
    if (this.tx.broken === '') this.tx.reclaim();
    this.publish();
  }

  /** The device broke the protocol: nothing more until the owner has restarted it. */
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

  private publish(): void {
    const { tx } = this;
    const { values } = this.counts;
    values[TxCounter.tx_packets] = tx.packets;
    values[TxCounter.tx_bytes] = tx.bytes;
    values[TxCounter.tx_dropped_bad_length] = tx.droppedBadLength;
    values[TxCounter.tx_kicks] = tx.kicks;
  }
}
