/**
 * Rewrites neighbours until told to stop. A MAC is one u16 three times, and those of 192.168.0.n are n modulo 256: a
 * reader can tell a torn MAC and that of another neighbour.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { NeighbourTable } from '../../rings/neighbour-table.js';

/** `neighbours` addresses are there at all times; those up to twice as many come and go, through evictions. */
export interface NeighbourWork {
  readonly buffer: SharedArrayBuffer;
  readonly capacity: number;
  readonly neighbours: number;
  /** Int32: 1 when the reader has seen enough. */
  readonly stop: SharedArrayBuffer;
}

const BASE = 0xc0a80000;
const work = workerData as NeighbourWork;
const table = new NeighbourTable(work.buffer, 0, work.capacity);
const stop = new Int32Array(work.stop);
const mac = new Uint16Array(3);
const deadline = Date.now() + 10_000;

for (let round = 0; Atomics.load(stop, 0) === 0 && Date.now() < deadline; round++) {
  for (let n = 0; n < work.neighbours; n++) {
    mac.fill(((round & 0xff) << 8) | n);
    table.setStatic(BASE + n, mac, 0, round);
    const passing = work.neighbours + (round % work.neighbours);
    mac.fill(((n & 0xff) << 8) | passing);
    table.confirm(BASE + passing, mac, 0, round);
  }
  if (round === 0) parentPort?.postMessage('ready');
}
