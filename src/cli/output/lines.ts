/**
 * Writes the lines of a command. A slow reader, such as a pager or a stopped terminal, never blocks the command: it
 * loses lines instead.
 */
import { tellErr, tellErrText } from '../../../drivers/log/event-log.js';
import { LineWriter } from '../../../drivers/log/line-writer.js';

/** Writes text of one or more lines to stdout. */
export function print(text: string): void {
  LineWriter.of(process.stdout).text(text);
}

/** Writes a warning to stderr. */
export function warn(line: string): void {
  tellErr(line, { event: 'warning' });
}

/** Writes a stack trace to stderr. */
export function printTrace(trace: string): void {
  tellErrText(trace, { event: 'trace' });
}

/** A property of libuv's streams that Node does not document. A stream without it stays as it is. */
interface Handle {
  readonly _handle?: { setBlocking?(isBlocking: boolean): number } | null;
}

/**
 * Makes a terminal non-blocking, so that Ctrl-S does not stop the process. Node makes only terminals blocking, not
 * pipes and sockets. Commands that run until a signal call this.
 */
export function neverWaitForTerminal(): void {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.isTTY) (stream as unknown as Handle)._handle?.setBlocking?.(false);
  }
}

/** How long a command that has finished waits for a reader that takes nothing, in ms. */
const PATIENCE_MS = 500;
const LOOK_MS = 10;

/** Resolves when the output was read, or when its reader has taken nothing for a while. */
export async function outputRead(): Promise<void> {
  const lengthOf = (stream: NodeJS.WriteStream): number => (stream.errored === null ? stream.writableLength : 0);
  const waiting = (): number => lengthOf(process.stdout) + lengthOf(process.stderr);
  let left = waiting();
  for (let idle = 0; left > 0 && idle < PATIENCE_MS; idle += LOOK_MS) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const now = waiting();
    if (now < left) idle = 0;
    left = now;
  }
}
