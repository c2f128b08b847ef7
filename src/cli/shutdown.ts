/** SIGINT and SIGTERM: the first ends a command in good order, the second at once. */

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Resolves at the first signal. From then on another one ends the process with the code that a shell expects. */
export function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of SIGNALS) {
      process.once(signal, () => {
        for (const second of SIGNALS) process.once(second, () => process.exit(second === 'SIGINT' ? 130 : 143));
        resolve();
      });
    }
  });
}
