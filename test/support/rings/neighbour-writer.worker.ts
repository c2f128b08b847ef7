/**
 * Rewrites neighbours until it is told to stop. A MAC is one u16 three times, and the low byte of this u16 is n for the
 * n-th address. So a reader can tell a torn MAC, and the MAC of another neighbour.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { NeighbourTable } from '../../../rings/neighbour-table.js';

export interface NeighbourWork {
  readonly buffer: SharedArrayBuffer;
  readonly capacity: number;
  /** The first half of the addresses is there at all times. The others come and go, and not all of them fit. */
  readonly addresses: readonly number[];
  /** Int32: 1 when the reader has seen enough. */
  readonly stop: SharedArrayBuffer;
}

const { buffer, capacity, addresses, ...work } = workerData as NeighbourWork;
const table = new NeighbourTable(buffer, 0, capacity);
const stop = new Int32Array(work.stop);
const mac = new Uint16Array(3);
const deadline = Date.now() + 10_000;
const staying = addresses.length / 2;

function enter(n: number, high: number): void {
  mac.fill(((high & 0xff) << 8) | n);
  table.confirm(addresses[n]!, mac, 0, 0);
}

// The addresses that go were there first: where addresses collide, they leave gaps before those that stay.
for (let n = addresses.length - 1; n >= 0; n--) {
  if (n >= staying && table.count >= capacity - staying) continue;
  enter(n, 0);
}
for (let round = 0; Atomics.load(stop, 0) === 0 && Date.now() < deadline; round++) {
  for (let n = 0; n < staying; n++) {
    enter(n, round);
    const passing = staying + (round % staying);
    if (table.isFull) table.remove(addresses[staying + ((round + n) % staying)]!);
    enter(passing, n);
  }
  if (round === 0) parentPort?.postMessage('ready');
}
