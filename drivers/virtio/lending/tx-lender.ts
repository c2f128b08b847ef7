/**
 * The owner's side of a transmit queue that another thread drives: lends it, has it left before the device is reset or
 * closed, and hands it back with what has changed. tx-loan.ts says how the two sides agree, and why nothing is missed.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { BufferPool } from '../../../rings/buffer-pool.js';
import { CounterBlock } from '../../../rings/counters.js';
import type { MemoryViews } from '../../memory/index.js';
import { type LentDoorbell, lendDoorbell } from '../driver/device-doorbell.js';
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
  TX_COUNTERS,
  type TxLoan,
  type TxSetup,
} from './tx-loan.js';

/** How long the borrower may take to leave the ring. It looks at each burst; its thread may have to be woken first. */
const ANSWER_MS = 2000;

export interface LendOptions {
  /**
   * Called on the owner's thread whenever the borrower should look. Needed where the borrower's thread blocks (in
   * `Atomics.wait`): its event loop is woken without this, and a loop that calls txBurst or reclaimTx sees it by itself.
   */
  readonly wake?: (() => void) | undefined;
}

/** One loan, from lending to its end. */
class Loan {
  readonly control = new Int32Array(new SharedArrayBuffer(4 * CONTROL_WORDS));
  readonly borrowerPort: MessagePort;
  private readonly port: MessagePort;
  private doorbell: LentDoorbell | null = null;
  private readonly waiting = new Set<() => void>();
  /** The buffers that went along with a start, until the borrower has them. */
  private readonly given = new Map<number, Uint32Array>();
  /** The borrower's thread, or its interest, is gone: nobody is in the ring or will be. */
  isOver = false;

  /** @param sent where the buffers lie that a lost device had, and where those go that the borrower never took */
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
    // With the borrower's thread its end of the channel goes, too: after the last that the thread did.
    port1.on('close', () => this.gone());
    port1.unref();
  }

  get state(): number {
    return Atomics.load(this.control, STATE);
  }

  /** True while the borrower is not in the ring, and cannot get into it. */
  get isLeft(): boolean {
    const isPaused = (this.state & 1) === 0;
    return this.isOver || (isPaused && (Atomics.load(this.control, SEEN) & 1) === 0);
  }

  /** The ring may be used from now on. The buffers in `sent` become the borrower's. */
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

  /** The word first, then what makes the borrower look at it: see tx-loan.ts. */
  private set(word: number, value: number, message: OwnerMessage): void {
    Atomics.store(this.control, word, value);
    this.port.postMessage(message);
    this.wake();
  }

  private forgetTaken(): void {
    const taken = Atomics.load(this.control, TAKEN);
    for (const state of this.given.keys()) if (state <= taken) this.given.delete(state);
  }

  /** Resolves to true when the borrower has left the ring, to false when it has not within its time. */
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
    // While the borrower may ring it, the descriptor stays open, whatever became of the transport's own.
    this.doorbell?.release();
    this.doorbell = null;
    for (const onLeft of this.waiting) onLeft();
    this.waiting.clear();
  }

  finish(): void {
    if (this.isOver) return;
    this.isOver = true;
    // A borrower that was thought gone and is not finds nothing to do any more.
    Atomics.store(this.control, STATE, ENDED);
    this.port.close();
    this.settle();
  }

  /** The borrower is gone: what it has not taken will not be taken. */
  gone(): void {
    if (this.isOver) return;
    this.forgetTaken();
    for (const returned of this.given.values()) for (const handle of returned) this.sent.put(handle);
    this.given.clear();
    this.finish();
  }
}

export class TxLender {
  private loan: Loan | null = null;
  /** How the queue was set up, while the device runs. */
  private setup: TxSetup | null = null;
  /** Whether a borrower may have moved the ring's indexes since the device was started. */
  private isUsed = false;
  private isLinkUp = true;
  /** What all borrowers have counted. */
  private readonly counters = CounterBlock.create(TX_COUNTERS);

  /**
   * @param name of the queue
   * @param tables shared ones, also of the owner's own end of the queue
   * @param sent where the owner's end puts the buffers that a lost device had
   * @param onBroken the borrower found the ring broken
   */
  constructor(
    private readonly name: string,
    private readonly memory: MemoryViews,
    private readonly tables: QueueTables,
    private readonly sent: BufferPool,
    private readonly onBroken: (reason: string) => void,
  ) {}

  /** The borrowers' totals, in the order of {@link TX_COUNTERS}. */
  get totals(): Float64Array {
    return this.counters.values;
  }

  /** True when the device must be restarted for a new borrower: the last one knew how far the ring had got. */
  get needsRestart(): boolean {
    return this.setup !== null && this.isUsed;
  }

  lend(layout: QueueLayout, { wake = () => {} }: LendOptions): TxLoan {
    if (this.loan !== null && !this.loan.isOver)
      throw new Error(`${this.name} is lent already: revoke that loan first`);
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

  /** The device is away: nobody is to touch the ring. */
  pause(): void {
    this.setup = null;
    this.loan?.pause();
  }

  setLink(isUp: boolean): void {
    this.isLinkUp = isUp;
    this.loan?.setLink(isUp);
  }

  /** Resolves when nobody is in the ring after a {@link pause}; rejects when the borrower does not leave it. */
  async left(): Promise<void> {
    if (this.loan === null || (await this.loan.left())) return;
    throw new Error(
      `${this.name}: the thread that it is lent to does not answer; revoke the loan if that thread is gone`,
    );
  }

  /** The borrower's thread has ended (it must have), or never took the loan. The channel's end tells the same, later. */
  revoke(): void {
    this.loan?.gone();
  }

  /**
   * The device is being closed. A borrower that does not answer is not waited for without end: what it may touch is harmless
   * by then (the memory reads as zeros, its doorbell stays open and unheard).
   */
  async end(): Promise<void> {
    const { loan } = this;
    this.setup = null;
    if (loan === null || loan.isOver) return;
    loan.end();
    if (await loan.left()) loan.finish();
  }
}
