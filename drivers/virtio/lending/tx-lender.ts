/**
 * The owner's side of a transmit queue that another thread drives. It lends the queue, has the borrower leave the ring
 * before the device is reset or closed, and hands the ring back with what has changed. tx-loan.ts: how the two sides
 * agree.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { BufferPool } from '../../../rings/buffer-pool.js';
import { CounterBlock } from '../../../rings/counters.js';
import type { MemoryViews } from '../../memory/index.js';
import { type LentDoorbell, lendDoorbell } from '../driver/device-doorbell.js';
import { TX_COUNTERS } from '../driver/queue-counts.js';
import type { QueueTables } from '../driver/queue-tables.js';
import type { QueueLayout } from '../transport.js';
import {
  type BorrowerMessage,
  CONTROL_WORDS,
  ENDED,
  LINK,
  type OwnerMessage,
  SEEN,
  STATE,
  TAKEN,
  type TxLoan,
  type TxSetup,
} from './tx-loan.js';

/**
 * How long the borrower may take to leave the ring, in ms. It looks at each burst, but its thread may have to wake up.
 */
const ANSWER_MS = 2000;

export interface LendOptions {
  /**
   * Called on the owner's thread whenever the borrower should look at its words. Needed when the borrower's thread
   * blocks (in `Atomics.wait`). Otherwise its event loop is woken by a message, or its txBurst or reclaimTx looks at
   * the words.
   */
  readonly wake?: (() => void) | undefined;
}

/** One loan, from its beginning to its end. */
class Loan {
  readonly control = new Int32Array(new SharedArrayBuffer(4 * CONTROL_WORDS));
  readonly borrowerPort: MessagePort;
  private readonly port: MessagePort;
  private doorbell: LentDoorbell | null = null;
  private readonly waiting = new Set<() => void>();
  /** The buffers that went along with each start, until the borrower has taken them. */
  private readonly given = new Map<number, Uint32Array>();
  /** The borrower has closed its end, or its thread is gone: it is not in the ring and will not be. */
  isOver = false;

  /** @param sent has the buffers that a lost device held, and gets those that the borrower never took */
  constructor(
    isLinkUp: boolean,
    private readonly sent: BufferPool,
    private readonly wake: () => void,
    private readonly onBroken: (reason: string) => void,
  ) {
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    this.borrowerPort = port2;
    Atomics.store(this.control, LINK, isLinkUp ? 1 : 0);
    port1.on('message', (message: BorrowerMessage) => {
      if (message.kind === 'broken' && message.state === this.state) this.onBroken(message.reason);
      this.settle();
    });
    // When the borrower's thread ends, its end of the channel closes, after the last action of that thread.
    port1.on('close', () => this.gone());
    port1.unref();
  }

  get state(): number {
    return Atomics.load(this.control, STATE);
  }

  /** True while the borrower is not in the ring and cannot get into it. */
  get isLeft(): boolean {
    const isPaused = (this.state & 1) === 0;
    return this.isOver || (isPaused && (Atomics.load(this.control, SEEN) & 1) === 0);
  }

  /** Lets the borrower use the ring. The buffers in `sent` become the borrower's. */
  start(setup: TxSetup): void {
    this.doorbell = lendDoorbell(setup.doorbell);
    const { sent, given } = this;
    const returned = new Uint32Array(sent.available);
    for (let i = 0; i < returned.length; i++) returned[i] = sent.get();
    const state = this.state + 1;
    this.forgetTaken();
    given.set(state, returned);
    this.set(STATE, state, { ...setup, doorbell: this.doorbell.share, kind: 'start', state, returned });
  }

  pause(): void {
    const { state } = this;
    if ((state & 1) === 1) this.set(STATE, state + 1, { kind: 'look' });
  }

  end(): void {
    this.set(STATE, ENDED, { kind: 'look' });
  }

  setLink(isUp: boolean): void {
    const link = isUp ? 1 : 0;
    if (Atomics.load(this.control, LINK) !== link) this.set(LINK, link, { kind: 'link' });
  }

  /** Stores the word first, and then makes the borrower look at it: see tx-loan.ts. */
  private set(word: number, value: number, message: OwnerMessage): void {
    Atomics.store(this.control, word, value);
    this.port.postMessage(message);
    this.wake();
  }

  private forgetTaken(): void {
    const taken = Atomics.load(this.control, TAKEN);
    for (const state of this.given.keys()) if (state <= taken) this.given.delete(state);
  }

  /** Resolves to true when the borrower has left the ring, to false when it has not left within {@link ANSWER_MS}. */
  left(): Promise<boolean> {
    const { waiting } = this;
    return new Promise((resolve) => {
      const onLeft = (): void => {
        clearTimeout(timer);
        resolve(true);
      };
      const timer = setTimeout(() => {
        waiting.delete(onLeft);
        resolve(this.isLeft);
      }, ANSWER_MS);
      waiting.add(onLeft);
      this.settle();
    });
  }

  private settle(): void {
    if (!this.isLeft) return;
    // The file descriptor was kept open while the borrower could ring it, even when the transport had closed its own.
    this.doorbell?.release();
    this.doorbell = null;
    for (const onLeft of this.waiting) onLeft();
    this.waiting.clear();
  }

  finish(): void {
    if (this.isOver) return;
    this.isOver = true;
    // A borrower that still runs finds nothing to do.
    Atomics.store(this.control, STATE, ENDED);
    this.port.close();
    this.settle();
  }

  /** The borrower is gone: what it has not taken by now comes back. */
  private gone(): void {
    if (this.isOver) return;
    this.forgetTaken();
    for (const returned of this.given.values()) for (const handle of returned) this.sent.put(handle);
    this.given.clear();
    this.finish();
  }
}

export class TxLender {
  private loan: Loan | null = null;
  /** How the queue was set up; null while the device does not run. */
  private setup: TxSetup | null = null;
  /** Whether a borrower may have moved the ring's indexes since the device was started. */
  private isUsed = false;
  private isLinkUp = true;
  /** What all borrowers have counted. */
  private readonly counters = CounterBlock.create(TX_COUNTERS);

  /**
   * @param name of the queue
   * @param tables of the queue, in shared memory, which the owner's end uses too
   * @param sent where the owner's end puts the buffers that a lost device held
   * @param onBroken called when the borrower found the ring broken
   */
  constructor(
    private readonly name: string,
    private readonly memory: MemoryViews,
    private readonly tables: QueueTables,
    private readonly sent: BufferPool,
    private readonly onBroken: (reason: string) => void,
  ) {}

  /** The totals of all borrowers, in the order of {@link TX_COUNTERS}. */
  get totals(): Float64Array {
    return this.counters.values;
  }

  /**
   * True when the device must be restarted for a new borrower, because only the last borrower knew the ring's indexes.
   */
  get needsRestart(): boolean {
    return this.setup !== null && this.isUsed;
  }

  lend(layout: QueueLayout, { wake = () => {} }: LendOptions): TxLoan {
    if (this.loan !== null && !this.loan.isOver) throw new Error(`${this.name} is lent to another thread already`);
    const loan = new Loan(this.isLinkUp, this.sent, wake, this.onBroken);
    if (this.setup !== null && !this.isUsed) {
      loan.start(this.setup);
      this.isUsed = true;
    }
    this.loan = loan;
    const { u8, u16, u32 } = this.memory;
    return {
      name: this.name,
      memory: { u8, u16, u32 },
      geometry: this.sent.geometry,
      layout,
      tables: this.tables,
      control: loan.control,
      counters: this.counters.share(),
      port: loan.borrowerPort,
    };
  }

  /** The device runs, with an empty ring. */
  start(setup: TxSetup): void {
    this.isUsed = this.loan !== null && !this.loan.isOver;
    if (this.isUsed) this.loan?.start(setup);
    this.setup = setup;
  }

  /** The device is away: the ring must not be used. */
  pause(): void {
    this.setup = null;
    this.loan?.pause();
  }

  setLink(isUp: boolean): void {
    this.isLinkUp = isUp;
    this.loan?.setLink(isUp);
  }

  /** Resolves when the borrower is out of the ring after {@link pause}. Rejects when it does not leave within 2 s. */
  async left(): Promise<void> {
    if (this.loan === null || (await this.loan.left())) return;
    throw new Error(`${this.name}: the thread that drives it did not answer within ${ANSWER_MS} ms`);
  }

  /**
   * Ends the loan because the device is being closed. A borrower that does not answer within 2 s is not waited for any
   * longer. What it may touch later is harmless: the memory reads as zeros, and its doorbell stays open with nobody
   * listening.
   */
  async end(): Promise<void> {
    const { loan } = this;
    this.setup = null;
    if (loan === null || loan.isOver) return;
    loan.end();
    if (await loan.left()) loan.finish();
  }
}
