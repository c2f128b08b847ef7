/**
 * What the owner of a device and the thread that it lends its transmit queue to have in common.
 *
 * One word of shared memory, the state, says whether the borrower may be in the ring; it looks at it before each burst.
 * Another, what was seen, is the borrower's answer. Both are accessed sequentially consistently, and each side stores its
 * own word before it loads the other's, so that one of them at least sees what the other did: either the borrower finds
 * the pause before it enters the ring, or the owner finds that it has entered and waits until it has left. Messages go
 * along, for a borrower that sleeps in its event loop and for what a word has no room for.
 */
import type { MessagePort } from 'node:worker_threads';
import type { BufferGeometry } from '../../rings/buffer-pool.js';
import { type CounterShare, counterIndexes } from '../../rings/counters.js';
import type { MemoryViews } from '../memory/index.js';
import type { DoorbellShare } from './doorbell.js';
import type { QueueTables } from './queue-tables.js';
import type { QueueLayout } from './transport.js';

/** Int32 words of {@link TxLoan.control}. They change seldom; nothing else is on their cache lines. */
export const CONTROL_WORDS = 96;
/** The owner's: odd while the ring may be used, even while not; each start of the device has a number of its own. */
export const STATE = 32;
/** The owner's: 1 while the device reports its link up. */
export const LINK = 33;
/** The borrower's: the last state that it has acted on; odd while it may be in the ring. */
export const SEEN = 34;
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

/** `look`: the state has changed. */
export type OwnerMessage = TxStart | { readonly kind: 'look' };

/** `left`: the borrower is out of the ring. `broken`: the device, as started with `state`, broke the ring. */
export type BorrowerMessage =
  | { readonly kind: 'left' }
  | { readonly kind: 'broken'; readonly state: number; readonly reason: string };
