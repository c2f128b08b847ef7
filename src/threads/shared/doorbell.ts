/**
 * Wakes a thread that sleeps in its event loop, from any other thread. A thread has one word of shared memory for
 * everything that it waits for. No FFI and no message: while the thread is awake, to ring costs one load.
 *
 * Why no wake-up is lost: the sleeper stores ASLEEP and then loads the tails of its rings once more. A producer stores
 * a tail and then loads the word. All four accesses are Atomics and therefore sequentially consistent: both threads
 * agree on one order of them, and no load in it comes before an earlier store of its own thread (a plain store could
 * still sit in the store buffer). Either the sleeper's load comes after the producer's store: it sees the packets and
 * stays awake. Or the producer's store, and so its load of the word, comes after the sleeper's load, and so after the
 * sleeper's store: the producer sees ASLEEP and rings. The ringing thread clears the word before it notifies, and a
 * wait does not begin on a cleared word, so a ring between arming and sleeping counts as well.
 */

/** Words from one doorbell to the next: a pair of cache lines, as between the indexes of a ring. */
export const DOORBELL_WORDS = 32;

const AWAKE = 0;
const ASLEEP = 1;

/** The end of the threads that have something for the sleeper. */
export class Doorbell {
  /**
   * @param words the shared memory; all doorbells of a thread use the same array, which saves a load
   * @param at index of the word of this doorbell, a multiple of {@link DOORBELL_WORDS}. The word is 0 at first
   */
  constructor(
    protected readonly words: Int32Array,
    protected readonly at: number,
  ) {}

  /** Whether the thread sleeps at this moment. */
  get isAsleep(): boolean {
    return Atomics.load(this.words, this.at) === ASLEEP;
  }

  /** Wakes the thread if it sleeps. To be called after a ring of the thread was filled. */
  ring(): void {
    if (Atomics.load(this.words, this.at) === AWAKE) return;
    // Of several threads that ring at once, one wakes the sleeper.
    if (Atomics.exchange(this.words, this.at, AWAKE) === ASLEEP) Atomics.notify(this.words, this.at);
  }
}

/** The end of the thread that sleeps. */
export class DoorbellListener extends Doorbell {
  /**
   * Called after another thread has rung the doorbell, at most once per {@link arm}. The doorbell is then not armed, even
   * if its thread has armed it again since: look at everything that the thread waits for.
   */
  onRing: (() => void) | null = null;
  private isWaiting = false;

  /**
   * From now on {@link ring} wakes the thread. After this call, look at everything that the thread waits for, and
   * {@link disarm} if there is something.
   * @returns false when another thread rang meanwhile: the doorbell is then not armed
   */
  arm(): boolean {
    Atomics.store(this.words, this.at, ASLEEP);
    // A wait that was armed, disarmed and never notified goes on: a second one must not be started.
    return this.isWaiting || this.wait();
  }

  disarm(): void {
    Atomics.store(this.words, this.at, AWAKE);
  }

  private wait(): boolean {
    // Not Atomics.wait, because the event loop must go on.
    const { async, value } = Atomics.waitAsync(this.words, this.at, ASLEEP);
    // A thread that rang in between has cleared the word, and no other thread would ring again.
    if (!async) return false;
    this.isWaiting = true;
    void value.then(() => {
      this.isWaiting = false;
      // If the doorbell was armed again before this, its word says that the thread sleeps, but there is no wait to be
      // notified.
      this.disarm();
      this.onRing?.();
    });
    return true;
  }
}
