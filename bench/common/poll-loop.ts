/** A loop that polls, and lets the event loop have its turn now and then, as `runStack` does. */
import { setImmediate as nextTurn } from 'node:timers/promises';

const TURN_MS = 1;
/** Polls between two looks at the clock. */
const POLLS = 64;

/** Calls `poll` until the signal aborts. */
export async function pollForever(poll: () => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const end = performance.now() + TURN_MS;
    do {
      for (let i = 0; i < POLLS; i++) poll();
    } while (performance.now() < end);
    await nextTurn();
  }
}
