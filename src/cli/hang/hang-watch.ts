/**
 * Lets signals end the command even while its main thread hangs.
 *
 * Node handles a signal in the event loop of the main thread. A thread that waits in a system call for ever, or never
 * returns to the event loop, does not handle it. Therefore the event loop counts beats in shared memory, and a watching
 * thread (`hang-worker.ts`) looks at them. When the beats stop, the watching thread gives the signals their default
 * action, which ends the process immediately. The event loop undoes this with its next beat.
 */
import { Worker } from 'node:worker_threads';
import { endProcessIn, SignalActions, type SignalName } from '../../../drivers/libc/index.js';
import { logForm, tellErr } from '../../../drivers/log/event-log.js';
import type { ServiceEnvironment } from '../service/environment.js';
import { type HangState, HangWord } from './hang-state.js';

/** Time between two beats, in ms. */
const BEAT_MS = 250;
/** The watch begins this long after the start, in ms, so that it does not slow the start down. */
const BEGIN_MS = 500;
/** A process that was told to end is killed this long after its last beat, in s. */
const LAST_BEAT_S = 2;
/**
 * How long a process that was told to end may go on with its beats before it is killed, in ms. It waits for threads and
 * peers.
 */
const END_MS = 10_000;

export class HangWatch {
  private readonly state: HangState;
  private readonly words: Int32Array;
  private readonly actions: SignalActions;
  private toldAt = 0;

  /**
   * Begins to watch the calling thread, which must be the main one, after half a second. It does not keep the process
   * alive.
   * @param service a service manager gets signs of life while the thread does not hang
   */
  constructor(signals: readonly SignalName[], service: ServiceEnvironment | null = null) {
    const saved = new SharedArrayBuffer(SignalActions.bytes(signals.length));
    this.state = { signals, log: logForm(), service, words: new SharedArrayBuffer(16), saved };
    this.words = new Int32Array(this.state.words);
    this.actions = new SignalActions(signals, new Uint8Array(saved));
    setTimeout(() => this.begin(), BEGIN_MS).unref();
  }

  /**
   * Notes that the process was told to end and cleans up. From now on it is killed if it hangs.
   * @param signal number of the signal that told it
   */
  told(signal: number): void {
    if (this.toldAt !== 0) return;
    this.toldAt = performance.now();
    Atomics.store(this.words, HangWord.told, signal);
    this.beat();
    // The process may have been told before the watch has begun.
    setInterval(() => this.beat(), BEAT_MS).unref();
  }

  private begin(): void {
    const worker = new Worker(new URL('./hang-worker.js', import.meta.url), {
      workerData: this.state,
      name: 'tspmd-watch',
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
    });
    // The command works without the watch.
    worker.on('error', (error) => tellErr(`hangs are not watched for: ${error.message}`, { event: 'warning' }));
    worker.unref();
    if (this.toldAt === 0) setInterval(() => this.beat(), BEAT_MS).unref();
  }

  private beat(): void {
    Atomics.add(this.words, HangWord.beats, 1);
    if (this.toldAt !== 0 && performance.now() - this.toldAt < END_MS) endProcessIn(LAST_BEAT_S);
    if (Atomics.compareExchange(this.words, HangWord.isReplaced, 1, 0) === 0) return;
    this.actions.restore();
    tellErr('the main thread answers again', { event: 'hang-over', thread: 'main' });
  }
}
