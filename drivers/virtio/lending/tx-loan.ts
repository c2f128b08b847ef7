/**
 * What the owner of a device and the borrower, the thread that it lends its transmit queue to, have in common: four words of
 * shared memory, each with one writer, and a message channel.
 *
 *     owner      STATE = 6, message, wake() ──> waits for SEEN ──> resets the device ──> STATE = 7, message, wake()
 *     borrower           leaves the ring, SEEN = 6, message ──┘                  SEEN = 7, looks at STATE, enters ──┘
 *
 * All words are accessed with Atomics, so there is one order of these accesses that both threads agree on.
 *
 * **Never both in the ring.** Each side stores its own word before it loads the other's: the borrower stores an odd SEEN, then
 * loads STATE once more, and enters only if that has not changed; the owner stores an even STATE, then loads SEEN, and goes on
 * only if that is even. Whichever store came second, the thread that did it sees the other's. While the borrower is inside it
 * loads STATE before each burst, and it stores an even SEEN only after its last access to the ring.
 *
 * **No change is missed.** The owner stores STATE or LINK *first*, and then posts a message and calls `wake`. So behind each
 * change there is a message, and a borrower that handles this message loads the words after that: it sees this change, or a
 * later one, behind which there is another message. When it has handled the last message it has followed the last change;
 * it may sleep for as long as no message comes. In the other order the message could be handled before the store: the
 * borrower would find nothing new, and nothing would wake it again.
 *
 * A borrower that polls may see an odd STATE before the `start` message behind it. Then it stays outside without an answer:
 * the message will wake it, and a loop that never returns to its event loop asks the channel for it at each burst.
 *
 * Answers go the same way: SEEN first, then the message. The owner puts itself on the list of those who wait and only then
 * loads SEEN, and it loads SEEN again at each message. A borrower that ends closes its end of the channel, and one whose thread
 * dies loses it; the owner hears of that after the last message, and takes the ring as left.
 *
 * **No buffer is lost.** What was in the ring at a reset travels with the next `start`, which may be out of date when it is
 * handled: the device may be lost again by then. The borrower takes the buffers all the same and stores TAKEN. When the loan
 * ends the owner takes back what went along with later starts.
 *
 * `test/unit/drivers/virtio/lending/lent-tx-handshake.test.ts` runs both sides in every order of their steps.
 */
import type { MessagePort } from 'node:worker_threads';
import type { BufferGeometry } from '../../../rings/buffer-pool.js';
import { type CounterShare, counterIndexes } from '../../../rings/counters.js';
import type { MemoryViews } from '../../memory/index.js';
import type { DoorbellShare } from '../driver/device-doorbell.js';
import type { QueueTables } from '../driver/queue-tables.js';
import type { QueueLayout } from '../transport.js';

/** Int32 words of {@link TxLoan.control}. They change seldom; nothing else is on their cache lines. */
export const CONTROL_WORDS = 96;
/** The owner's: odd while the ring may be used, even while not; each start of the device has a number of its own. */
export const STATE = 32;
/** The owner's: 1 while the device reports its link up. */
export const LINK = 33;
/** The borrower's: the last state that it has acted on; odd while it may be in the ring. */
export const SEEN = 34;
/** The borrower's: the state of the last start whose `returned` buffers it has. */
export const TAKEN = 35;
/** The state once the device is closed. */
export const ENDED = -2;

/** What the borrower counts; it adds to what earlier borrowers counted. */
export const TX_COUNTERS = ['tx_packets', 'tx_bytes', 'tx_dropped_bad_length', 'tx_kicks'] as const;
export type TxCounterName = (typeof TX_COUNTERS)[number];
export const TxCounter = counterIndexes(TX_COUNTERS);

/** A transmit queue, for one other thread. Send it there once, by postMessage or as workerData, with `port` transferred. */
export interface TxLoan {
  /** Of the queue, for messages. */
  readonly name: string;
  /** The packet memory. */
  readonly memory: MemoryViews;
  readonly geometry: BufferGeometry;
  readonly layout: QueueLayout;
  readonly tables: QueueTables;
  readonly control: Int32Array;
  readonly counters: CounterShare<TxCounterName>;
  readonly port: MessagePort;
}

/** How the queue was set up at a start of the device. */
export interface TxSetup {
  /** Whether the ring is a packed one. */
  readonly packed: boolean;
  readonly inOrder: boolean;
  /** Entries in use. */
  readonly size: number;
  readonly eventIdx: boolean;
  /** Bytes, with Ethernet header. */
  readonly longestFrame: number;
  readonly doorbell: DoorbellShare;
}

/** The ring may be used, from `state` on. `returned` are the buffers that were in it when the device went. */
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
