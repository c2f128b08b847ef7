/**
 * The app of `tspmd exec`: in the thread of each core, the network of a Node program on that core, and the program.
 */
import type { Core } from '../../link/core.js';
import type { EventLoopStack, StackOptions } from '../../stack.js';
import type { ExecOptions } from './options.js';
import { startProgram } from './program.js';
import { takeOver } from './take-over.js';

export default function (core: Core, options: StackOptions): EventLoopStack {
  const all = options as unknown as ExecOptions;
  const host = takeOver(core, all);
  return {
    run(signal) {
      const ended = host.run(signal);
      if (all.program !== null) startProgram(all.program, all.args);
      return ended;
    },
    report: () => host.report(),
  };
}
