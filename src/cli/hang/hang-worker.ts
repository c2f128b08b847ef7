/** The thread that watches the main thread: see `hang-watch.ts`. Normally it reads one word four times per second. */
import { readFileSync, writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import {
  nameThread,
  parseThreadStat,
  SignalActions,
  sendDatagram,
  type ThreadState,
} from '../../../drivers/libc/index.js';
import { lineOf, useLogForm } from '../../../drivers/log/event-log.js';
import { HANGS, HangDetector, type HangKind } from './hang-detector.js';
import { type HangState, HangWord } from './hang-state.js';

/** Time between two looks, in ms. */
const LOOK_MS = 250;
/** The kernel's state of the main thread. */
const STAT = `/proc/self/task/${process.pid}/stat`;

const state = workerData as HangState;
const words = new Int32Array(state.words);
const actions = new SignalActions(state.signals, new Uint8Array(state.saved));

function readMainThread(): ThreadState {
  return parseThreadStat(readFileSync(STAT, 'latin1'));
}

/** Lets signals end the process from now on. If a signal has told it to end already, ends it now. */
function letSignalsEndIt(kind: HangKind): void {
  if (Atomics.load(words, HangWord.isReplaced) === 1) return;
  actions.replaceByDefault();
  Atomics.store(words, HangWord.isReplaced, 1);
  const told = Atomics.load(words, HangWord.told);
  const what =
    told === 0 ? `until it answers, ${state.signals.join(', ')} end this process at once` : 'this process ends';
  try {
    const event = { event: 'hang', thread: 'main', state: kind, ends: told !== 0 } as const;
    writeSync(2, `${lineOf(`the main thread ${HANGS[kind]}: ${what}`, event)}\n`);
  } catch {
    // The output has no reader any more.
  }
  if (told !== 0) process.kill(process.pid, told);
}

/** Returns what gives the service manager a sign of life, twice as often as it wants one. */
function signOfLife(): () => void {
  const { socket, watchdogMs } = state.service ?? { socket: '', watchdogMs: 0 };
  if (watchdogMs === 0) return () => {};
  let last = Number.NEGATIVE_INFINITY;
  return () => {
    const now = performance.now();
    if (now - last < watchdogMs / 2) return;
    last = now;
    try {
      sendDatagram(socket, 'WATCHDOG=1\n');
    } catch {
      // The manager is away, as while it restarts itself. The main thread has told of a wrong socket.
    }
  };
}

useLogForm(state.log);
nameThread('tspmd-watch');
const detector = new HangDetector(readMainThread);
const liveOn = signOfLife();
for (;;) {
  Atomics.wait(words, HangWord.never, 0, LOOK_MS);
  const hang = detector.look(Atomics.load(words, HangWord.beats));
  if (hang === null) liveOn();
  else letSignalsEndIt(hang);
}
