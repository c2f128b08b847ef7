/**
 * One layout in a thread of its own, so that V8 compiles the layers for this layout only, as in a real program. It runs
 * on request, and answers with the time per packet.
 */
import { workerData } from 'node:worker_threads';
import { pinPollingThread } from '../../drivers/libc/index.js';
import { serveWindows } from './layout-thread.js';
import { type Mode, openLayout } from './layouts.js';

/** The data of the thread. */
export interface LayoutStart {
  readonly mode: Mode;
  readonly cores: number;
  readonly flows: number;
  readonly cpu: number;
}

const { mode, cores, flows, cpu } = workerData as LayoutStart;
await pinPollingThread(cpu);
const layout = openLayout(mode, cores, flows);
const run = (): number => {
  layout.pass();
  return layout.packets;
};
const fault = (): string => {
  const lost = layout.lost();
  return lost === 0 ? '' : `${lost} packets were dropped`;
};
serveWindows(run, fault);
