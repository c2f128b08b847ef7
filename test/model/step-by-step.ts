/**
 * Runs real, synchronous code one shared access at a time, on one thread and without a change to that code. So
 * everything that two threads can do to each other can be tried in every order, not only in the orders that happen to
 * occur.
 *
 * A function cannot be stopped in the middle and continued later. But code that gets the same results does the same
 * again. So a thread is remembered as its tasks (an event that it handles, a call) with the results of their accesses.
 * One more step of the thread runs all of that from the beginning, carries out one more access, and throws an exception
 * at the next one.
 */

/** Something that a thread does without returning to its event loop. Promises that it settles belong to it. */
export interface Task<E> {
  readonly event: E;
  /** The results of its accesses so far. */
  readonly results: readonly unknown[];
  readonly isDone: boolean;
}

/** Ends a run before the access that is not to be made yet. */
class Stop extends Error {}

class Run {
  readonly results: unknown[];
  isStopped = false;
  private next = 0;

  constructor(
    past: readonly unknown[],
    /** Accesses that may be carried out. */
    private left: number,
  ) {
    this.results = [...past];
  }

  access<T>(perform: () => T): T {
    if (this.next < this.results.length) return this.results[this.next++] as T;
    if (this.left === 0 || this.isStopped) {
      this.isStopped = true;
      throw new Stop();
    }
    this.left--;
    const result = perform();
    this.results.push(result);
    this.next++;
    return result;
  }
}

let current: Run | null = null;

/** Called by every stand-in for something shared: `perform` is carried out at the step that makes this access. */
export function access<T>(perform: () => T): T {
  return current === null ? perform() : current.access(perform);
}

/** Lets promises settle, and lets begin what waits for them. */
async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

/**
 * Runs `tasks` again, the last one by one access further.
 * @param act does one task; called anew for each, with the same objects. Returns a promise where the task settles any.
 * @returns the last task as it is now
 */
export async function advance<E>(
  tasks: readonly Task<E>[],
  act: (event: E) => Promise<void> | undefined,
): Promise<Task<E>> {
  let last: Task<E> | undefined;
  for (const [i, task] of tasks.entries()) {
    const run = new Run(task.results, i === tasks.length - 1 ? 1 : 0);
    current = run;
    let failure: unknown = null;
    const fail = (error: unknown): void => {
      if (!(error instanceof Stop)) failure ??= error;
    };
    try {
      const promise = act(task.event);
      if (promise !== undefined) {
        promise.catch(fail);
        await settle();
      }
    } catch (error) {
      fail(error);
    }
    current = null;
    if (failure !== null) throw failure;
    last = { event: task.event, results: run.results, isDone: !run.isStopped };
  }
  return last!;
}
