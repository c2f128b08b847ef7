/**
 * The two sides of a lent transmit queue, as two threads that {@link explore} moves one shared access at a time: the
 * real TxLender and the real BorrowedTx. Shared words and messages are those of a model.
 */
import { TX_COUNTERS } from '../../../drivers/virtio/driver/queue-counts.js';
import { BorrowedTx } from '../../../drivers/virtio/lending/borrowed-tx.js';
import { TxLender } from '../../../drivers/virtio/lending/tx-lender.js';
import { CONTROL_WORDS, ENDED, LINK, SEEN, STATE } from '../../../drivers/virtio/lending/tx-loan.js';
import { BufferPool } from '../../../rings/buffer-pool.js';
import { CounterBlock } from '../../../rings/counters.js';
import {
  beginTask,
  type Message,
  Port,
  portOfOwner,
  presentStep,
  releaseHeld,
  type SharedState,
  shared,
} from './lending-state.js';

/** What a thread handles next. */
export type Event =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'closed' }
  | { readonly kind: 'call'; readonly call: string };

/** One thread, from its beginning. */
export interface Actor {
  act(event: Event): Promise<void> | undefined;
  /** The state of the thread between two tasks: nothing else decides what it does next. */
  facts(): OwnerFacts | BorrowerFacts;
}

export interface OwnerFacts {
  /** Calls of the script that have returned. */
  readonly calls: number;
  readonly sent: readonly number[];
  readonly given: readonly number[];
  readonly flags: readonly boolean[];
}

export interface BorrowerFacts {
  readonly isMade: boolean;
  readonly inside: number;
  readonly followed: number;
  readonly next: number;
  readonly sent: readonly number[];
  readonly isBroken: boolean;
  /** The link, as it was last told. */
  readonly link: number;
}

const BUFFERS = 8;
const QUEUE_SIZE = 4;
const GEOMETRY = { count: BUFFERS, shift: 4, base: 512 };
const LAYOUT = { size: QUEUE_SIZE, descriptors: 0, driver: 128, device: 256 };
const bytes = new SharedArrayBuffer(1024);
const MEMORY = { u8: new Uint8Array(bytes), u16: new Uint16Array(bytes), u32: new Uint32Array(bytes) };
const TABLES = {
  slotHandle: new Int32Array(QUEUE_SIZE).fill(-1),
  addressLow: new Uint32Array(BUFFERS),
  addressHigh: new Uint32Array(BUFFERS),
  chains: null,
};
const DOORBELL = { kind: 'register', u16: new Uint16Array(1), register: 0, value: 1 } as const;
const SETUP = {
  packed: false,
  inOrder: false,
  size: QUEUE_SIZE,
  eventIdx: false,
  longestFrame: 16,
  offloads: 0,
  doorbell: DOORBELL,
};
const COUNTERS = CounterBlock.create(TX_COUNTERS).share();

const contentOf = ({ stack, available }: BufferPool): number[] =>
  [...stack.subarray(0, available)].sort((a, b) => a - b);

/** The owner: `script` is what happens to its device. */
export class Owner implements Actor {
  /** @param wakes whether the borrower must be woken by a call */
  constructor(private readonly wakes: boolean) {}

  private readonly sent = new BufferPool(GEOMETRY, 0, 0);
  private readonly lender = new TxLender('model', MEMORY, TABLES, this.sent, () => this.broken());
  private calls = 0;
  private resets = 0;
  private isBroken = false;
  private onBroken: () => void = () => {};

  act(event: Event): Promise<void> | undefined {
    beginTask();
    if (event.kind === 'call') return this.call(event.call);
    if (event.kind === 'message') portOfOwner().handlers.get('message')!(event.message);
    else portOfOwner().handlers.get('close')!();
    releaseHeld();
    // A call may have waited for this.
    return Promise.resolve();
  }

  private call(name: string): Promise<void> | undefined {
    const { lender } = this;
    if (name === 'left') return lender.left().then(() => this.returned());
    if (name === 'end') return lender.end().then(() => this.returned());
    if (name === 'broken') return this.toldOfBroken();
    if (name === 'lend') this.lend();
    else if (name === 'start') lender.start(SETUP);
    else if (name === 'pause') lender.pause();
    else if (name === 'reset') this.reset();
    else lender.setLink(name === 'link up');
    releaseHeld();
    this.returned();
    return undefined;
  }

  /** What the device does when a queue is broken. */
  private broken(): void {
    this.lender.pause();
    this.isBroken = true;
    this.onBroken();
  }

  private toldOfBroken(): Promise<void> {
    return new Promise<void>((resolve) => {
      this.onBroken = resolve;
      if (this.isBroken) resolve();
    }).then(() => this.returned());
  }

  private returned(): void {
    this.calls++;
  }

  private lend(): void {
    const wake = (): void => {
      shared(() => {
        presentStep.sharedState.wakes = 1;
      });
    };
    this.lender.lend(LAYOUT, { wake: this.wakes ? wake : undefined });
    shared(() => {
      presentStep.sharedState.isLent = true;
    });
  }

  /** What the ring held comes back. */
  private reset(): void {
    this.sent.put(this.resets++);
    shared(() => {
      presentStep.sharedState.isOwnersRing = true;
    });
  }

  facts(): OwnerFacts {
    const { loan, isUsed } = this.lender as unknown as {
      loan: { isOver: boolean; given: Map<number, unknown>; waiting: Set<unknown> } | null;
      isUsed: boolean;
    };
    const given = [...(loan?.given.keys() ?? [])];
    const flags = [isUsed, loan?.isOver === true, (loan?.waiting.size ?? 0) > 0, this.isBroken];
    return { calls: this.calls, sent: contentOf(this.sent), given, flags };
  }
}

/** The borrower, from the moment when it opens the loan. */
export class Borrower implements Actor {
  private readonly port = new Port('borrower');
  private tx: BorrowedTx | null = null;
  private link = -1;

  act(event: Event): undefined {
    beginTask();
    if (event.kind === 'message') this.port.handlers.get('message')!(event.message);
    else if (event.kind === 'closed') this.port.handlers.get('close')!();
    else if (event.call === 'take up') this.takeUp();
    else if (event.call === 'poll') this.tx!.reclaimTx();
    else this.tx!.close();
    releaseHeld();
  }

  private takeUp(): void {
    const control = new Int32Array(CONTROL_WORDS);
    const port = this.port as never;
    const parts = { memory: MEMORY, geometry: GEOMETRY, layout: LAYOUT, tables: TABLES, counters: COUNTERS };
    this.tx = new BorrowedTx({ name: 'model', control, port, ...parts });
    const look = (): void => {
      this.link = Atomics.load(control, LINK);
    };
    this.tx.onLinkChange = look;
    look();
  }

  facts(): BorrowerFacts {
    const { link } = this;
    if (this.tx === null) return { isMade: false, inside: -1, followed: 0, next: 0, sent: [], isBroken: false, link };
    const { inside, followed, next, sent, tx } = this.tx as unknown as {
      inside: number;
      followed: number;
      next: { state: number } | null;
      sent: BufferPool;
      tx: { broken: string };
    };
    const isBroken = tx.broken !== '';
    return { isMade: true, inside, followed, next: next?.state ?? 0, sent: contentOf(sent), isBroken, link };
  }
}

/** What must hold when neither side has anything left to do: one line per fault. */
export function faultsAtRest(
  sharedState: SharedState,
  owner: OwnerFacts,
  borrower: BorrowerFacts,
  script: readonly string[],
): string[] {
  const faults: string[] = [];
  const state = sharedState.words[STATE]!;
  const isGone = sharedState.isDead || borrower.followed === ENDED;
  if (owner.calls < script.length) faults.push(`the owner waits for ever: ${script[owner.calls]}`);
  if (!isGone && borrower.isMade) {
    const { inside, followed, link } = borrower;
    if (followed !== state) faults.push(`the borrower sleeps for ever: STATE ${state}, followed ${followed}`);
    else if ((state & 1) === 1 && inside !== state) faults.push(`the borrower is outside: STATE ${state}`);
    if (link !== sharedState.words[LINK])
      faults.push(`the borrower knows of link ${link}, it is ${sharedState.words[LINK]}`);
  }
  if (isGone && !sharedState.isDead && (sharedState.words[SEEN]! & 1) === 1)
    faults.push('the borrower is gone, SEEN says inside');
  const found = [...owner.sent, ...borrower.sent].sort((a, b) => a - b);
  // A thread that died may have died between two steps of taking a buffer: then the buffer belongs to the owner, too.
  const places = sharedState.isDead ? [...new Set(found)] : found;
  const all = script.flatMap((call) => (call === 'reset' ? [0] : [])).map((_, i) => i);
  // A closed device needs no buffers. What a thread had that died while it opened the loan cannot be seen.
  const mayMiss = script.includes('end') || owner.calls < script.length || !borrower.isMade;
  const isWrong = mayMiss ? new Set(places).size < places.length : places.join() !== all.join();
  if (isWrong) faults.push(`of buffers ${all.join()} there are ${places.join()}`);
  return faults;
}
