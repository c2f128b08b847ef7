/**
 * A thread of a layout with TCP whose threads have a CPU each: it drives the device, or runs the stack of one core. It
 * sleeps between windows.
 */
import { workerData } from 'node:worker_threads';
import { pinPollingThread } from '../../../drivers/libc/index.js';
import { Rss } from '../../../src/rss/rss.js';
import { Interconnect } from '../../../src/threads/shared/interconnect.js';
import { viewsOf } from '../../common/memory-nic.js';
import { ringCore, rxLoop, txLoop } from '../../pipeline/make-loops.js';
import {
  ENDED,
  PAUSED,
  RUNNING,
  SENT,
  STARTED,
  STATE,
  type ThreadStart,
  WRONG,
} from '../../pipeline/thread-control.js';
import { type ClientShare, Clients } from './client.js';
import { ClientNic } from './client-nic.js';
import { coresOf, echoServer } from './layouts.js';

/** The data of the thread. */
export interface TcpThreadStart extends ThreadStart {
  readonly clients: ClientShare;
}

/** Polls between two looks at the control block. */
const POLLS = 64;

const start = workerData as TcpThreadStart;
const { role, core, cpu } = start;
const control = new Int32Array(start.control);
const counters = new Float64Array(start.counters);
/** Longest step of the clock, in ms. Between windows the thread sleeps: otherwise it would send everything again. */
const LONGEST_STEP = 1;
let lastMs = performance.now();
let clockMs = 0;
function clock(): number {
  const now = performance.now();
  clockMs += Math.min(now - lastMs, LONGEST_STEP);
  lastMs = now;
  return clockMs;
}

function makeTurn(): () => void {
  const interconnect = new Interconnect(start.interconnect);
  const memory = viewsOf(start.memory);
  if (role === 'cores') {
    const net = echoServer(ringCore(interconnect, core, memory, start.rss, clock));
    return () => {
      for (let poll = 0; poll < POLLS; poll++) net.poll();
      counters[core] = net.tcp.report().tcp_retransmitted_segments;
    };
  }
  const clients = new Clients(memory, start.clients);
  const coreOf = coresOf(Rss.attach(memory, start.rss), start.clients.connections);
  const nic = new ClientNic(memory, clients, interconnect.plan, coreOf, true);
  const rx = role === 'tx' ? null : rxLoop(nic, interconnect, start.rss);
  const tx = role === 'rx' ? null : txLoop(nic, interconnect, rx ?? undefined);
  return () => {
    for (let poll = 0; poll < POLLS; poll++) {
      rx?.poll();
      tx?.poll();
      nic.dueCount = 0;
    }
    if (tx === null) return;
    counters[SENT] = clients.answered;
    counters[WRONG] = clients.wrong;
  };
}

await pinPollingThread(cpu);
const turn = makeTurn();
Atomics.add(control, STARTED, 1);
for (let state = PAUSED; state !== ENDED; state = Atomics.load(control, STATE)) {
  if (state === RUNNING) turn();
  else Atomics.wait(control, STATE, PAUSED);
}
