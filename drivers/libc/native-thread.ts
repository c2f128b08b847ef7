/**
 * One function of the C library on a thread of its own, while this thread goes on. The thread has no JavaScript, no event loop
 * and no descriptors; it ends with the function, or with the process, whose end does not wait for it.
 *
 * The function is called as the start routine of pthread_create(3), which passes a pointer and takes a pointer back. On x86-64
 * and arm64 Linux a function that takes an int, or a pointer, and returns an int can be called so: the argument is passed in
 * the same register, and nobody looks at the result.
 */
import { native } from './ffi.js';
import { startUnpinned } from './threads.js';

/** 0: the thread has ended and is joined. EBUSY: it runs. */
const ENDED = 0;

const addresses = new Map<string, number>();
const identity = new BigUint64Array(new ArrayBuffer(8));
const identityBytes = new Uint8Array(identity.buffer);

export class NativeThread {
  private constructor(private readonly id: number) {}

  /**
   * Starts a thread, which costs some 20 us. It does not run on the core alone to which this thread is pinned.
   * @param symbol a function with one argument
   * @returns `null` where the process may have no further thread, or has no memory for it
   */
  static start(symbol: 'close', argument: number): NativeThread | null {
    const address = addresses.get(symbol) ?? native.functionAddress(symbol);
    addresses.set(symbol, address);
    const error = startUnpinned(() => native.threadCreate(identityBytes, null, address, argument));
    if (error !== 0) return null;
    // A pointer, in glibc and musl alike.
    return new NativeThread(Number(identity[0]));
  }

  /** Whether the function has returned. Frees the thread then: not to be called again after `true`. */
  hasEnded(): boolean {
    return native.threadTryJoin(this.id, null) === ENDED;
  }
}
