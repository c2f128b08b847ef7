/** Where a command writes its lines. A reader that stalls, a pager or a stopped terminal, costs lines; it never holds the command. */
import { LineWriter } from '../../drivers/log/line-writer.js';

/** Writes what the user asked for to stdout: text of our own, of one line or several. */
export function say(text: string): void {
  LineWriter.of(process.stdout).text(text);
}

/** Writes what the user should know to stderr, as one line. */
export function complain(line: string): void {
  LineWriter.of(process.stderr).line(`tspmd: ${line}`);
}

/** Writes the stack of an error to stderr, line by line. */
export function complainAtLength(stack: string): void {
  LineWriter.of(process.stderr).text(stack);
}

/** A part of libuv's stream that Node does not publish; a stream without it stays as it is. */
interface Handle {
  readonly _handle?: { setBlocking?(isBlocking: boolean): number } | null;
}

/**
 * For commands that run on: a terminal that takes nothing (Ctrl-S) does not hold the process. Pipes and sockets never do; a
 * terminal would, as Node makes it blocking.
 */
export function neverWaitForTerminal(): void {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.isTTY) (stream as unknown as Handle)._handle?.setBlocking?.(false);
  }
}

/** How long the reader may take nothing while the command waits to end, in ms. */
const PATIENCE_MS = 500;
const LOOK_MS = 10;

/** Resolves when the output was read, or when its reader takes nothing any more. */
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
