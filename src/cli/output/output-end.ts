/**
 * The end of the output: its reader has closed it, as in `tspmd … | head`. Node ignores SIGPIPE and reports EPIPE
 * instead.
 */

import { setTimeout as sleep } from 'node:timers/promises';

let outputEnded: () => void = () => {};
/** Resolves when the reader has closed the output. */
export const outputEnd = new Promise<void>((resolve) => {
  outputEnded = resolve;
});

const ended = new AbortController();
void outputEnd.then(() => ended.abort());

/** Waits. Returns false, at once, when the reader has closed the output. */
export async function pause(ms: number): Promise<boolean> {
  // Without a promise of its own that waits for the end: a command may pause for weeks.
  await sleep(ms, undefined, { signal: ended.signal }).catch(() => {});
  return !ended.signal.aborted;
}

/**
 * Handles errors of stdout and stderr. After the reader has closed one, {@link outputEnd} resolves, and the command can
 * clean up. Any other error, such as a full disk, is printed in one line, too.
 * @param tell takes this line
 */
export function watchOutput(tell: (line: string) => void): void {
  for (const stream of [process.stdout, process.stderr]) {
    const onError = (error: NodeJS.ErrnoException): void => {
      if (error.code !== 'EPIPE' && process.exitCode === undefined) {
        process.exitCode = 1;
        if (stream === process.stdout) tell(`cannot write the output: ${error.message}`);
      }
      outputEnded();
    };
    stream.on('error', onError);
    unwatch.push(() => stream.off('error', onError));
  }
}

const unwatch: (() => void)[] = [];

/** Handles these errors no longer. */
export function unwatchOutput(): void {
  for (const end of unwatch.splice(0)) end();
}
