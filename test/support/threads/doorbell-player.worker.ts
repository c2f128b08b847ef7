/**
 * A thread that sleeps at its doorbell and plays: it takes numbers from a ring and puts each number plus one into
 * another ring, whose consumer it wakes. Ends when it has taken `rounds` numbers, or at a number below zero.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { SpscRing } from '../../../rings/spsc-ring.js';
import { Doorbell, DoorbellListener } from '../../../src/threads/shared/doorbell.js';

export interface Player {
  readonly buffer: SharedArrayBuffer;
  /** Offset and places of the rings that it takes from and puts into. */
  readonly from: number;
  readonly to: number;
  readonly places: number;
  /** Offsets of its own doorbell and the other one. */
  readonly own: number;
  readonly other: number;
  /** Numbers that it begins with. */
  readonly balls: number;
  readonly rounds: number;
}

const { buffer, from, to, places, own, other, balls, rounds } = workerData as Player;
const incoming = new SpscRing(buffer, from, places);
const outgoing = new SpscRing(buffer, to, places);
const memory = new Int32Array(buffer);
const listener = new DoorbellListener(memory, own);
const bell = new Doorbell(memory, other);
const numbers = new Uint32Array(places);
const words = new Uint32Array(places);
let taken = 0;
let sleeps = 0;
let rung: () => void = () => {};
listener.onRing = () => rung();
// Keeps the thread alive: waiting at a doorbell does not.
const alive = setInterval(() => {}, 1000);

for (let i = 0; i < balls; i++) outgoing.enqueueBurst(Uint32Array.of(i), words, 0, 1);
bell.ring();
while (taken < rounds) {
  const count = incoming.dequeueBurst(numbers, words, places);
  taken += count;
  for (let i = 0; i < count; i++) numbers[i]! += 1;
  if (count > 0) {
    outgoing.enqueueBurst(numbers, words, 0, count);
    bell.ring();
    continue;
  }
  const woken = new Promise<void>((resolve) => {
    rung = resolve;
  });
  if (!listener.arm()) continue;
  if (incoming.count > 0) {
    listener.disarm();
    continue;
  }
  sleeps++;
  await woken;
  listener.disarm();
}
clearInterval(alive);
parentPort?.postMessage({ taken, sleeps });
