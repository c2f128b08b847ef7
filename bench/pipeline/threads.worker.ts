/**
 * A thread of a layout whose threads have a CPU each. It drives the device, or runs the cores. It sleeps between
 * windows, so that layouts can take turns.
 */
import { workerData } from 'node:worker_threads';
import { pinPollingThread } from '../../drivers/libc/index.js';
import { SingleCore } from '../../src/link/single-core.js';
import { Interconnect } from '../../src/threads/shared/interconnect.js';
import { viewsOf } from '../common/memory-nic.js';
import { nicFor, ringCore, rxLoop, txLoop } from './make-loops.js';
import { LINK } from './network.js';
import { Reflector } from './reflector.js';
import { ENDED, PAUSED, RUNNING, SENT, STALLED, STARTED, STATE, type ThreadStart } from './thread-control.js';

/** Polls between two looks at the control block. */
const POLLS = 64;

const start = workerData as ThreadStart;
const { role, cpu, cores, flows, memory, rss } = start;
const control = new Int32Array(start.control);
const counters = new Float64Array(start.counters);

function makeTurn(): () => void {
  const interconnect = new Interconnect(start.interconnect);
  if (role === 'cores') {
    const stacks = Array.from(
      { length: cores },
      (_, i) => new Reflector(ringCore(interconnect, i, viewsOf(memory), rss)),
    );
    return () => {
      const stalled = Atomics.load(control, STALLED);
      for (let poll = 0; poll < POLLS; poll++) {
        for (let core = 0; core < cores; core++) if (core !== stalled) counters[core] += stacks[core].poll();
      }
    };
  }
  const nic = nicFor(cores, flows, role !== 'single', memory);
  const publish = (): void => {
    counters[SENT] = nic.transmitted;
  };
  if (role === 'single') {
    const stack = new Reflector(new SingleCore(nic, { ...LINK, idle: 'spin' }));
    return () => {
      for (let poll = 0; poll < POLLS; poll++) stack.poll();
      publish();
    };
  }
  const rx = role === 'tx' ? null : rxLoop(nic, interconnect, rss);
  const tx = role === 'rx' ? null : txLoop(nic, interconnect, rx ?? undefined);
  return () => {
    for (let poll = 0; poll < POLLS; poll++) {
      rx?.poll();
      tx?.poll();
    }
    if (tx !== null) publish();
  };
}

await pinPollingThread(cpu);
const turn = makeTurn();
Atomics.add(control, STARTED, 1);
for (let state = PAUSED; state !== ENDED; state = Atomics.load(control, STATE)) {
  if (state === RUNNING) turn();
  else Atomics.wait(control, STATE, PAUSED);
}
