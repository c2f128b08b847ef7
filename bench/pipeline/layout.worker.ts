/**
 * One layout in a thread of its own: V8 then compiles the layers for it alone, as in a program that has only this one. It
 * runs when it is told to and says how long a packet took.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { pinPollingThread } from '../../drivers/libc/index.js';
import { type Mode, openLayout } from './layouts.js';

/** What the thread is given. */
export interface LayoutStart {
  readonly mode: Mode;
  readonly cores: number;
  readonly flows: number;
  readonly cpu: number;
}

/** The answer to a number of milliseconds. */
export interface LayoutWindow {
  /** Of this process's CPU time; who else ran on that CPU does not count. */
  readonly nsAPacket: number;
  /** Packets that were dropped since the beginning. */
  readonly lost: number;
}

const NS_A_MICROSECOND = 1000;

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
    nsAPacket: ((user + system) * NS_A_MICROSECOND) / packets,
    lost: layout.lost(),
  } satisfies LayoutWindow);
});
parentPort?.postMessage('ready');
