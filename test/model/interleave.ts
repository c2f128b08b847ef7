/**
 * Runs two sides of a ring at once, in one thread: the other side runs between two accesses of a function to shared
 * memory. All accesses whose order matters are Atomics, so these are the places in between. With every place tried, the
 * runs cover all that two threads can do to each other under sequential consistency, and each run can be repeated.
 */

/** Runs `outer`, and runs `inner` right before the atomic access number `at` (from 0) of `outer`, or after `outer`. */
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
