/**
 * Wakes a thread that sleeps in its event loop, from any other thread. There is one word per thread, whatever the
 * thread waits for. It needs no FFI and no message: while the thread is awake, ringing costs one load.
 *
 * Why no wake-up is lost: the sleeper stores ASLEEP and then loads the tails of its rings once more. A producer stores
 * a tail and then loads the word. All four accesses are Atomics and therefore sequentially consistent: both threads
 * agree on one order of them, and no load in it comes before an earlier store of its own thread (a plain store could
 * still sit in the store buffer). Either the sleeper's load comes after the producer's store: it sees the packets and
 * stays awake. Or the producer's store, and so its load of the word, comes after the sleeper's load, and so after the
 * sleeper's store: the producer sees ASLEEP and rings. The ringing thread clears the word before it notifies, and a
 * wait does not begin on a cleared word, so a ring between arming and sleeping counts as well.
 */

/** Distance of two: a pair of cache lines, as between the indexes of a ring. */
export const DOORBELL_WORDS = 32;

const AWAKE = 0;
const ASLEEP = 1;

/** The side of those who have something for the thread. */
export class Doorbell {
  /**
   * @param words of the shared memory; the same array for all doorbells of a thread, which is one thing less to fetch
   * @param at where its word is, a multiple of {@link DOORBELL_WORDS}; zero at first
   */
  constructor(
    protected readonly words: Int32Array,
    protected readonly at: number,
  ) {}

  /** Whether the thread sleeps, as of now. */
  get isAsleep(): boolean {
    return Atomics.load(this.words, this.at) === ASLEEP;
  }

  /** Wakes the thread if it sleeps. To be called after its ring was filled. */
  ring(): void {
    if (Atomics.load(this.words, this.at) === AWAKE) return;
    // Of several who ring at once, one wakes.
    if (Atomics.exchange(this.words, this.at, AWAKE) === ASLEEP) Atomics.notify(this.words, this.at);
  }
}

/** The side of the thread that sleeps. */
export class DoorbellListener extends Doorbell {
  /**
   * Called when somebody has rung, at most once per {@link arm}. Nothing is armed any more then, although the thread
   * may have armed again since the ring: look at everything that is waited for.
   */
  onRing: (() => void) | null = null;
  private isWaiting = false;

  /**
   * From now on {@link ring} wakes. Look at everything that is waited for after this, and {@link disarm} if it is
   * there.
   * @returns false when somebody rang meanwhile: nothing is armed then
   */
  arm(): boolean {
    Atomics.store(this.words, this.at, ASLEEP);
    // A wait that was armed, disarmed and never notified goes on: it must not be joined by another.
    return this.isWaiting || this.wait();
  }

  disarm(): void {
    Atomics.store(this.words, this.at, AWAKE);
  }

  private wait(): boolean {
    // Not Atomics.wait: the event loop is to go on.
    const { async, value } = Atomics.waitAsync(this.words, this.at, ASLEEP);
    // Whoever rang in between has cleared the word; nobody would ring again.
    if (!async) return false;
    this.isWaiting = true;
    void value.then(() => {
      this.isWaiting = false;
      // Armed again before this came, the word would say that the thread sleeps, and no wait would be there to be notified.
      this.disarm();
      this.onRing?.();
    });
    return true;
  }
}
