/**
 * Signals end the command even while its main thread hangs.
 *
 * Node handles a signal in the event loop of the main thread. A thread that waits in a system call for ever, or runs without
 * end, never gets there. So the event loop counts a word of shared memory up (a beat), and a thread of its own
 * (`hang-worker.ts`) looks at it. Where the beats stay away, that thread gives the signals back the action that ends the process at
 * once. The event loop takes this back with its next beat.
 */
import { Worker } from 'node:worker_threads';
import { endProcessIn, SignalActions, type SignalName } from '../../drivers/libc/index.js';
import { type HangState, HangWord } from './hang-state.js';

/** Time between two beats, in ms. */
const BEAT_MS = 250;
/** When the watch begins, in ms: the start of a command is not to wait for it. */
const BEGIN_MS = 500;
/** A process that is to end, and beats no more, lives so long, in s. */
const LAST_BEAT_S = 2;
/** What is in order and takes longer does not end the process in order either, in ms: threads are waited for, and peers. */
const END_MS = 10_000;

export class HangWatch {
  private readonly state: HangState;
  private readonly words: Int32Array;
  private readonly actions: SignalActions;
  private toldAt = 0;

  /** Begins to watch the calling thread, the main one, in half a second. Keeps no process alive. */
  constructor(signals: readonly SignalName[]) {
    const saved = new SharedArrayBuffer(SignalActions.bytes(signals.length));
    this.state = { signals, words: new SharedArrayBuffer(16), saved };
    this.words = new Int32Array(this.state.words);
    this.actions = new SignalActions(signals, new Uint8Array(saved));
    setTimeout(() => this.begin(), BEGIN_MS).unref();
  }

  /**
   * The process is to end in good order. If it hangs on the way, it ends all the same.
   * @param signal what told it, by its number
   */
  told(signal: number): void {
    if (this.toldAt !== 0) return;
    this.toldAt = performance.now();
    Atomics.store(this.words, HangWord.told, signal);
    this.beat();
    // Of a process that ends before the watch has begun, too.
    setInterval(() => this.beat(), BEAT_MS).unref();
  }

  private begin(): void {
    const worker = new Worker(new URL('./hang-worker.js', import.meta.url), {
      workerData: this.state,
      name: 'tspmd-watch',
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
    });
    // Without the watch the command works all the same.
    worker.on('error', (error) => process.stderr.write(`tspmd: hangs are not watched for: ${error.message}\n`));
    worker.unref();
    if (this.toldAt === 0) setInterval(() => this.beat(), BEAT_MS).unref();
  }

  private beat(): void {
    Atomics.add(this.words, HangWord.beats, 1);
    if (this.toldAt !== 0 && performance.now() - this.toldAt < END_MS) endProcessIn(LAST_BEAT_S);
    if (Atomics.compareExchange(this.words, HangWord.isReplaced, 1, 0) === 0) return;
    this.actions.restore();
    process.stderr.write('tspmd: the main thread answers again\n');
  }
}
