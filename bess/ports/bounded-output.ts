/** What a program of Node's own writes within a time, for work that may hang in the kernel where not even SIGKILL ends it. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { closeFile, emptyMemfd } from '../../drivers/libc/index.js';

/** What a program writes last, to say that there is no more. */
export const END = 'end\n';
const LOOK_MS = 5;

/**
 * Runs `program` in a process of its own and returns what it has written when it writes {@link END}, or after `milliseconds`.
 * The process is killed then and not waited for: unlike `spawnSync`, this returns where it cannot be killed, too.
 * @param program CommonJS; `argument` is its `process.argv[1]`
 */
export function outputWithin(milliseconds: number, program: string, argument: string): string {
  const output = emptyMemfd('tspmd-output');
  try {
    const child = spawn(process.execPath, ['-e', program, argument], { stdio: ['ignore', output, 'ignore'], env: {} });
    // No process can be had: nothing is written, either.
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
    // Opened anew: the descriptor shares its position with the program.
    const text = readFileSync(`/proc/self/fd/${fd}`, 'utf8');
    if (text.endsWith(END) || performance.now() > deadline) return text;
    Atomics.wait(nobody, 0, 0, LOOK_MS);
  }
}
