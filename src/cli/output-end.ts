/** An output that nobody reads any more (`tspmd … | head`), which is how SIGPIPE reaches a Node program. */

let outputEnded: () => void = () => {};
/** Resolves when nobody reads the output any more. */
export const outputEnd = new Promise<void>((resolve) => {
  outputEnded = resolve;
});

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
