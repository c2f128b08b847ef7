/**
 * What the owner of a device shares with the borrower, the thread that it lends its transmit queue to: four words of
 * shared memory, each with one writer, and a message channel.
 *
 *     owner      STATE = 6, message, wake() ──> waits for SEEN ──> resets the device ──> STATE = 7, message, wake()
 *     borrower           leaves the ring, SEEN = 6, message ──┘                  SEEN = 7, looks at STATE, enters ──┘
 *
 * All words are accessed with Atomics, so both threads agree on one order of these accesses.
 *
 * **The two are never in the ring together.** Each side stores its own word before it loads the other's. The borrower
 * stores an odd SEEN, then loads STATE once more, and enters only if STATE has not changed. The owner stores an even
 * STATE, then loads SEEN, and continues only if SEEN is even. The thread whose store came second sees the other's
 * store. While the borrower is inside, it loads STATE before each burst, and it stores an even SEEN only after its last
 * access to the ring.
 *
 * **No change is missed.** The owner *first* stores STATE or LINK, and then posts a message and calls `wake`. So every
 * change is followed by a message. A borrower that handles this message loads the words after it, and sees this change,
 * or a later one that is followed by another message. When the borrower has handled the last message, it has followed
 * the last change, and may sleep until a message comes. In the other order it could handle the message before the
 * store: it would find nothing new, and nothing would wake it again.
 *
 * A borrower that polls may see an odd STATE before the `start` message that follows it. Then it stays outside and does
 * not answer. The message will wake it; a loop that never returns to its event loop asks the channel for it at each
 * burst.
 *
 * Answers work the same way: SEEN first, then the message. The owner registers its wait before it loads SEEN, and loads
 * SEEN again at each message. A borrower that ends closes its end of the channel; when its thread dies, that end closes
 * too. The owner is told so after the last message, and then treats the ring as left.
 *
 * **No buffer is lost.** The buffers that were in the ring at a reset travel with the next `start`. That start may be
 * outdated when it is handled, because the device was lost again. The borrower takes the buffers all the same, and
 * stores TAKEN. When the loan ends, the owner takes back the buffers of later starts.
 *
 * `test/unit/drivers/virtio/lending/lent-tx-handshake.test.ts` runs both sides in every order of their steps.
 */
import type { MessagePort } from 'node:worker_threads';
import type { BufferGeometry } from '../../../rings/buffer-pool.js';
import type { CounterShare } from '../../../rings/counters.js';
import type { MemoryViews } from '../../memory/index.js';
import type { TxCounterName } from '../driver/queue-counts.js';
import type { QueueTables } from '../driver/queue-tables.js';
import type { DoorbellShare, QueueLayout } from '../transport.js';

/** Number of Int32 words in {@link TxLoan.control}. They change seldom, and nothing else is on their cache lines. */
export const CONTROL_WORDS = 96;
/** The owner's word: odd while the ring may be used, otherwise even. Each start of the device has its own number. */
export const STATE = 32;
/** The owner's word: 1 while the device reports its link up. */
export const LINK = 33;
/** The borrower's word: the last state that it has acted on. Odd while it may be in the ring. */
export const SEEN = 34;
/** The borrower's word: the state of the last start whose `returned` buffers it has taken. */
export const TAKEN = 35;
/** The state when the device is closed. */
export const ENDED = -2;

/** A transmit queue for one other thread. Send it there once, by postMessage or as workerData, and transfer `port`. */
export interface TxLoan {
  /** Name of the queue, for messages. */
  readonly name: string;
  /** The packet memory. */
  readonly memory: MemoryViews;
  readonly geometry: BufferGeometry;
  readonly layout: QueueLayout;
  /** With offloads they have the words of the packet table and the addresses of the indirect tables. */
  readonly tables: QueueTables;
  readonly control: Int32Array;
  /** What the borrower counts, on from what earlier borrowers counted. */
  readonly counters: CounterShare<TxCounterName>;
  readonly port: MessagePort;
}

/** How the queue was set up when the device was started. */
export interface TxSetup {
  /** Whether the ring is packed. */
  readonly packed: boolean;
  readonly inOrder: boolean;
  /** Entries in use. */
  readonly size: number;
  readonly eventIdx: boolean;
  /** Bytes, Ethernet header included. */
  readonly longestFrame: number;
  /** What was negotiated about offloads: `offloadBits`. */
  readonly offloads: number;
  readonly doorbell: DoorbellShare;
}

/** The ring may be used from `state` on. `returned` are the buffers that were in it when the device was lost. */
export interface TxStart extends TxSetup {
  readonly kind: 'start';
  readonly state: number;
  readonly returned: Uint32Array;
}

/** `look`: the state has changed. `link`: the link has come up or gone down. */
export type OwnerMessage = TxStart | { readonly kind: 'look' } | { readonly kind: 'link' };

/** `left`: the borrower is out of the ring. `broken`: the device, as started with `state`, broke the ring. */
export type BorrowerMessage =
  | { readonly kind: 'left' }
  | { readonly kind: 'broken'; readonly state: number; readonly reason: string };
