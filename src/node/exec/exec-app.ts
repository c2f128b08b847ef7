/**
 * The app of `tspmd exec` with several cores: in the thread of each core, the network of a Node program on that core,
 * and the program.
 */
import type { Core } from '../../link/core.js';
import type { EventLoopStack, StackOptions } from '../../stack.js';
import type { NetHost } from '../host.js';
import type { ExecOptions } from './options.js';
import { startProgram } from './program.js';
import { takeOver } from './take-over.js';

export const offloads = 'auto';

export default function (core: Core, options: StackOptions): EventLoopStack {
  const all = options as unknown as ExecOptions;
  let host: NetHost | null = null;
  return {
    mayEnd: true,
    run(signal) {
      // Not before: from now on the program alone keeps the thread alive.
      const own = takeOver(core, all);
      host = own;
      // The program shall not see its connections reset.
      signal.addEventListener('abort', () => own.endNow());
      const ended = own.run(signal);
      startProgram(all.program, all.args);
      return ended;
    },
    report: () => host?.report() ?? {},
  };
}
