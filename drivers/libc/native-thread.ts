/**
 * Runs one function of the C library on a thread of its own. The thread has no JavaScript, no event loop and no file
 * descriptors. It ends with the function, or with the process, whose end does not wait for it.
 *
 * The function is called as the start routine of pthread_create(3), which takes and returns a pointer. On x86-64 and
 * arm64, Linux can call a function that way when it takes an int or a pointer and returns an int: the argument is
 * passed in the same register, and the result is not used.
 */
import { native } from './ffi/native.js';
import { startUnpinned } from './threads.js';

/** Result of joining a thread that has ended. EBUSY means that the thread is running. */
const ENDED = 0;

const addresses = new Map<string, number>();
const identity = new BigUint64Array(new ArrayBuffer(8));
const identityBytes = new Uint8Array(identity.buffer);

export class NativeThread {
  private constructor(private readonly id: number) {}

  /**
   * Starts a thread, which costs about 20 us. If this thread is pinned to a core, the new thread is not.
   * @param symbol a function with one argument
   * @returns `null` when the process may have no further thread, or has no memory for it
   */
  static start(symbol: 'close', argument: number): NativeThread | null {
    const address = addresses.get(symbol) ?? native.functionAddress(symbol);
    addresses.set(symbol, address);
    const error = startUnpinned(() => native.threadCreate(identityBytes, null, address, argument));
    if (error !== 0) return null;
    // A pointer, in glibc and musl alike.
    return new NativeThread(Number(identity[0]));
  }

  /** Whether the function has returned. If so, this frees the thread, and must not be called again. */
  hasEnded(): boolean {
    return native.threadTryJoin(this.id, null) === ENDED;
  }
}
