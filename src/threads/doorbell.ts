/**
 * Wakes a thread that sleeps in its event loop, from any other thread: one word a thread, whatever it waits for. No FFI,
 * no message: whoever rings does one load while the thread is awake.
 *
 * Why no wake-up is lost: the sleeper stores the word and then looks at its rings once more; whoever has put something
 * into a ring loads the word after that. All are Atomics, hence in one order that both agree on: either the sleeper sees
 * what was put, or the other sees the word, and rings.
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
   * Called when somebody has rung, at most once per {@link arm}. Nothing is armed any more then, although the thread may have
   * armed again since the ring: look at everything that is waited for.
   */
  onRing: (() => void) | null = null;
  private isWaiting = false;

  /**
   * From now on {@link ring} wakes. Look at everything that is waited for after this, and {@link disarm} if it is there.
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
