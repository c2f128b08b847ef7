/** Repeats a step on the event loop until a condition holds: tests wait for events, never for an amount of time. */

const DEADLINE_MS = 10_000;

/** Rejects with the text of `what` if the condition does not hold within a time that no sound run needs. */
export async function until(what: string, condition: () => boolean, step: () => void = () => {}): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`${what}: did not happen within ${DEADLINE_MS} ms`);
    step();
    await new Promise((resolve) => setImmediate(resolve));
  }
}
