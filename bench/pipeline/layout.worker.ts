/**
 * One layout in a thread of its own, so that V8 compiles the layers for this layout only, as in a real program. It runs
 * on request, and answers with the time per packet.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { pinPollingThread } from '../../drivers/libc/index.js';
import { type Mode, openLayout } from './layouts.js';

/** The data of the thread. */
export interface LayoutStart {
  readonly mode: Mode;
  readonly cores: number;
  readonly flows: number;
  readonly cpu: number;
}

/** The answer to a number of milliseconds. */
export interface LayoutWindow {
  /** CPU time of this process per packet. Other processes on the CPU do not count. */
  readonly nsPerPacket: number;
  /** Number of packets that were dropped since the start. */
  readonly lost: number;
}

const NS_PER_MICROSECOND = 1000;

const { mode, cores, flows, cpu } = workerData as LayoutStart;
await pinPollingThread(cpu);
const layout = openLayout(mode, cores, flows);

parentPort?.on('message', (milliseconds: number) => {
  const before = process.cpuUsage();
  const start = performance.now();
  let packets = 0;
  do {
    layout.pass();
    packets += layout.packets;
  } while (performance.now() - start < milliseconds);
  const { user, system } = process.cpuUsage(before);
  parentPort?.postMessage({
    nsPerPacket: ((user + system) * NS_PER_MICROSECOND) / packets,
    lost: layout.lost(),
  } satisfies LayoutWindow);
});
parentPort?.postMessage('ready');
