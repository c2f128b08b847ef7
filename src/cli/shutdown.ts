/**
 * What ends a command: SIGINT, SIGTERM and SIGHUP, the first in good order, the second at once; and an output that nobody
 * reads any more (`tspmd … | head`), which is how SIGPIPE reaches a Node program.
 */

/** Signal -> the exit code that a shell expects of who died by it. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

let outputEnded: () => void = () => {};
const outputEnd = new Promise<void>((resolve) => {
  outputEnded = resolve;
});

/** Resolves at the first signal, or when the output is gone. From then on a signal ends the process at once. */
export function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      for (const [signal, code] of Object.entries(SIGNALS)) process.once(signal, () => process.exit(code));
      resolve();
    };
    for (const signal of Object.keys(SIGNALS)) process.once(signal, stop);
    void outputEnd.then(stop);
  });
}

/** What `start` resolves to; null where it failed because it was told to stop. */
export async function unlessStopped<T>(
  told: Promise<void>,
  start: (signal: AbortSignal) => Promise<T>,
): Promise<T | null> {
  const stop = new AbortController();
  void told.then(() => stop.abort());
  try {
    return await start(stop.signal);
  } catch (error) {
    if (stop.signal.aborted) return null;
    throw error;
  }
}

/**
 * Outlives the loss of its output: once nobody reads it, the command ends in good order; what else can be wrong with it (a
 * full disk) is an error of one line.
 * @param name of the program, for that line
 */
export function watchOutput(name: string): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && process.exitCode === undefined) {
        process.exitCode = 1;
        if (stream === process.stdout) process.stderr.write(`${name}: cannot write the output: ${error.message}\n`);
      }
      outputEnded();
    });
  }
}
