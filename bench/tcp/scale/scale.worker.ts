/** One layout in a thread of its own. */
import { workerData } from 'node:worker_threads';
import { pinPollingThread } from '../../../drivers/libc/index.js';
import { serveWindows } from '../../pipeline/layout-thread.js';
import { type Mode, openScale } from './layouts.js';

/** The data of the thread. */
export interface ScaleStart {
  readonly mode: Mode;
  readonly cores: number;
  readonly stacks: boolean;
  readonly cpu: number;
}

/** Requests in which V8 compiles a TCP/IP stack. */
const WARM_UP = 500_000;
/** Turns of the loops between two looks at the time. */
const TURNS = 64;

const { mode, cores, stacks, cpu } = workerData as ScaleStart;
await pinPollingThread(cpu);
const layout = openScale(mode, cores, stacks);
for (let done = 0; stacks && done < WARM_UP; ) done += layout.run(TURNS);
serveWindows(
  () => layout.run(TURNS),
  () => layout.faults(),
);
