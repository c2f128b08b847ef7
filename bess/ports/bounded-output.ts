/**
 * Runs a Node program with a time limit and returns its output. For work that can hang in the kernel, where not even
 * SIGKILL ends it.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { closeFile, emptyMemfd } from '../../drivers/libc/index.js';

/** The line that a program writes last. */
export const END = 'end\n';
/** How often the output is read, in ms. */
const POLL_MS = 5;

/**
 * Runs `program` in a process of its own, and returns what it has written when it writes {@link END}, or after
 * `milliseconds`. Then the process is killed, but not waited for. So, unlike `spawnSync`, this returns even if the
 * process cannot be killed.
 * @param program the text of a CommonJS module; `argument` is its `process.argv[1]`
 */
export function outputWithin(milliseconds: number, program: string, argument: string): string {
  const output = emptyMemfd('tspmd-output');
  try {
    const child = spawn(process.execPath, ['-e', program, argument], { stdio: ['ignore', output, 'ignore'], env: {} });
    // If no process can be started, there is no output.
    child.on('error', () => {});
    child.unref();
    const text = child.pid === undefined ? '' : textAtEnd(output, milliseconds);
    child.kill('SIGKILL');
    return text;
  } finally {
    closeFile(output);
  }
}

function textAtEnd(fd: number, milliseconds: number): string {
  const nobody = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const deadline = performance.now() + milliseconds;
  for (;;) {
    // The file is opened anew, because the file descriptor shares its position with the program.
    const text = readFileSync(`/proc/self/fd/${fd}`, 'utf8');
    if (text.endsWith(END) || performance.now() > deadline) return text;
    Atomics.wait(nobody, 0, 0, POLL_MS);
  }
}
