/**
 * Two sides of a ring at once, in one thread: the other side runs between two accesses of a function to what both share.
 * All such accesses that order matters for are Atomics, so those are the places; with each of them tried, this is what
 * two threads can do to each other under sequential consistency, and the same each time.
 */

/** Runs `outer`, and `inner` right before the atomic access number `at` (from 0) of it, or behind it. */
export function interleave<T>(at: number, outer: () => T, inner: () => void): T {
  const { load, store } = Atomics;
  let accesses = 0;
  let done = false;
  const step = (): void => {
    if (done || accesses++ < at) return;
    done = true;
    restore();
    inner();
  };
  const restore = (): void => {
    Object.assign(Atomics, { load, store });
  };
  Object.assign(Atomics, {
    load: (...args: Parameters<typeof load>) => {
      step();
      return load(...args);
    },
    store: (...args: Parameters<typeof store>) => {
      step();
      return store(...args);
    },
  });
  try {
    const result = outer();
    if (!done) {
      done = true;
      restore();
      inner();
    }
    return result;
  } finally {
    restore();
  }
}
