/**
 * A thread that drives a lent transmit queue: sends numbered frames as fast as it can until it is told to stop. On a
 * device with offloads each frame lies in two buffers.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { BorrowedTx } from '../../../drivers/virtio/lending/borrowed-tx.js';
import { BufferPool, FRAME_OFFSET, NO_BUFFER } from '../../../rings/buffer-pool.js';
import { CHAIN, ENTRY_SHIFT, LAST, LENGTH, NEXT, PacketTable, START, TOTAL } from '../../../rings/packet-table.js';
import { FRAME_BYTES, NUMBER_OFFSET, type TxReport, type TxWork } from './tx-worker-data.js';

const BURST = 32;
const { loan, buffers, from, spins, stop } = workerData as TxWork;
const stopped = new Int32Array(stop);
const tx = new BorrowedTx(loan);
const states: string[] = [];
tx.onStateChange = (state) => states.push(state);

/** The thread's own buffers. */
const free = new BufferPool(loan.geometry, 0, 0);
for (const handle of buffers) free.put(handle);
const handles = new Uint32Array(BURST);
const { chains } = loan.tables;
const table = new PacketTable(loan.geometry.count, chains?.words);
/** The number lies in the first buffer. */
const FIRST_BYTES = chains === null ? FRAME_BYTES : FRAME_BYTES / 2;
const lengths = new Uint32Array(BURST).fill(FIRST_BYTES);
let waiting = 0;
let next = from;

function fill(): void {
  const { u8, u16 } = tx.memory;
  while (waiting < BURST) {
    const handle = free.get();
    if (handle === NO_BUFFER) return;
    const frame = free.offsetOf(handle) + FRAME_OFFSET;
    const number = next + waiting;
    for (let i = 0; i < NUMBER_OFFSET; i++) u8[frame + i] = i < 12 ? 0x02 : 0x88;
    u16[(frame + NUMBER_OFFSET) >> 1] = number & 0xffff;
    u16[(frame + NUMBER_OFFSET + 2) >> 1] = number >>> 16;
    if (chains !== null && !extend(handle)) return;
    handles[waiting++] = handle;
  }
}

/** Adds a second buffer to the frame. Returns false, with the first one free again, when there is none. */
function extend(handle: number): boolean {
  const part = free.get();
  if (part === NO_BUFFER) {
    free.put(handle);
    return false;
  }
  const { words } = table;
  const first = handle << ENTRY_SHIFT;
  const second = part << ENTRY_SHIFT;
  words[first] = CHAIN;
  words[first + TOTAL] = FRAME_BYTES;
  words[first + NEXT] = part;
  words[first + START] = FRAME_OFFSET;
  words[first + LENGTH] = FIRST_BYTES;
  words[second + NEXT] = LAST;
  words[second + START] = FRAME_OFFSET;
  words[second + LENGTH] = FRAME_BYTES - FIRST_BYTES;
  return true;
}

function round(): void {
  while (tx.sent.available > 0) free.put(tx.sent.get());
  fill();
  const taken = tx.txBurst(handles, lengths, waiting);
  handles.copyWithin(0, taken, waiting);
  waiting -= taken;
  next += taken;
  if (taken === 0) tx.reclaimTx();
}

while (Atomics.load(stopped, 0) === 0) {
  round();
  if (!spins) await turn();
}
tx.reclaimTx();
tx.close();
for (const handle of handles.subarray(0, waiting)) table.free(handle, free);
const mine: number[] = [];
for (const pool of [tx.sent, free]) while (pool.available > 0) mine.push(pool.get());
parentPort?.postMessage({ next, free: mine, inFlight: tx.inFlight, states } satisfies TxReport);
