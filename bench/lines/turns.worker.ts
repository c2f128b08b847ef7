/**
 * One end of `bench -- lines`. The giver writes all lines (for `rewrite`: reads all lines that the taker wrote) and
 * passes the turn on. The taker touches them, with one look at the clock before and one after all of them; then it
 * touches them again several times, now from its own cache, and passes the turn back.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { pinPollingThread } from '../../drivers/libc/index.js';
import { figure } from '../report/report.js';
import { LINES, makePass, makeRead, makeWrite, placesOf, type Spec } from './touches.js';

export interface End {
  readonly memory: SharedArrayBuffer;
  readonly cpu: number;
  readonly role: 'give' | 'take';
  readonly spec: Spec;
  readonly windows: number;
  /** Milliseconds of a window, and before the first one. */
  readonly window: number;
  readonly warmUp: number;
}

/** What a window found: nanoseconds per line, and the part of a CPU that each end got. */
export interface LinesWindow {
  readonly other: number;
  readonly own: number;
  readonly share: number;
}

/** Index of the word that says whose turn it is: odd is the giver's. */
const TURN = 0;
const OWN_PASSES = 16;
/** Turns between two looks at the end of a window. */
const TURNS = 16;

const { memory, cpu, role, spec, windows, window, warmUp } = workerData as End;
const words = new Int32Array(memory);
const places = placesOf(spec.stride);
await pinPollingThread(cpu);

/** Until it is terminated. */
function give(): never {
  const prepare = spec.touch === 'rewrite' ? makeRead(words, places, LINES) : makeWrite(words, places, LINES);
  for (let turn = 1; ; turn += 2) {
    while (Atomics.load(words, TURN) !== turn);
    // The sum is 0. V8 would leave loads out whose result is not used.
    Atomics.store(words, TURN, turn + 1 + prepare(turn));
  }
}

let turn = 1;
const pass = makePass(spec, words, places);

/** Takes turns. Appends nanoseconds per line to both arrays. */
function take(other: number[], own: number[]): void {
  for (let i = 0; i < TURNS; i++, turn += 2) {
    Atomics.store(words, TURN, turn);
    while (Atomics.load(words, TURN) !== turn + 1);
    const begin = performance.now();
    let sum = pass(turn);
    const middle = performance.now();
    for (let again = 0; again < OWN_PASSES; again++) sum += pass(turn);
    const end = performance.now();
    if (sum !== 0) throw new Error(`the first words of the lines are 0, but their sum is ${sum}`);
    other.push(((middle - begin) * 1e6) / LINES);
    own.push(((end - middle) * 1e6) / (LINES * OWN_PASSES));
  }
}

function takeFor(milliseconds: number): LinesWindow {
  const [other, own]: [number[], number[]] = [[], []];
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  while (performance.now() - start < milliseconds) take(other, own);
  const { user, system } = process.cpuUsage(cpuBefore);
  const share = (user + system) / 1000 / (performance.now() - start) / 2;
  // Medians: some turns are disturbed.
  return { other: figure(other, 'ns').median, own: figure(own, 'ns').median, share };
}

if (role === 'give') give();
takeFor(warmUp);
for (let i = 0; i < windows; i++) parentPort?.postMessage(takeFor(window));
