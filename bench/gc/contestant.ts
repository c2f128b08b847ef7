/**
 * The process that `bench -- gc` measures. The driver, with row `gc/api` also the layer and the echo app, is on one end
 * of a vhost-user socket and our backend on the other, all in one thread, so that every object that is allocated per
 * packet counts. It answers a request of MILLISECONDS with a {@link HeapWindow}. It must run with `--expose-gc`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { GCProfiler } from 'node:v8';
import { Reactor } from '../../drivers/libc/index.js';
import { WindowAllocator } from '../../drivers/memory/index.js';
import { VhostUserBackend } from '../../drivers/transports/vhost-user/backend.js';
import { VhostUserFrontend } from '../../drivers/transports/vhost-user/frontend.js';
import { VirtioNetDevice } from '../../drivers/virtio/virtio-net-device.js';
import createEcho from '../../src/apps/echo.js';
import { init } from '../../src/index.js';
import { answerRequests } from '../common/bench-process.js';
import { udpFrame } from '../common/frames.js';
import { RoundTrips } from '../common/round-trips.js';
import { bareLoop } from '../driver/bare-loops.js';

/** The result of a window. */
export interface HeapWindow {
  readonly packets: number;
  /** Bytes that were allocated on the heap, collected or not. */
  readonly allocated: number;
  readonly collections: number;
  readonly pauseMs: number;
  readonly longestPauseMs: number;
  /** Growth of the heap during the window in bytes, measured after full collections. */
  readonly growth: number;
}

const CLIENT = { ip: '10.0.0.2', mac: '52:54:00:00:00:02' };
const SERVER = { ip: '10.0.0.1', mac: '52:54:00:00:00:01' };
const ECHO_PORT = 7;
const BYTES = 64;
const BURST = 32;
/** Rounds between two turns of the event loop. There are many, because a turn allocates objects of its own. */
const ROUNDS = 4096;

const subject = JSON.parse(process.argv[2]) as 'driver' | 'api';
const collect = (globalThis as { gc?: () => void }).gc;
if (!collect) throw new Error('run with --expose-gc');
const folder = mkdtempSync(join(tmpdir(), 'tspmd-bench-'));
const path = join(folder, 'nic.sock');
const reactor = new Reactor();
const backend = new VhostUserBackend({ path, reactor, windows: new WindowAllocator() });
const pair = backend.pairs[0];
const trips = new RoundTrips(pair, udpFrame(BYTES, CLIENT, SERVER, ECHO_PORT), null);

async function open(): Promise<{ poll: () => void; close: () => Promise<void> }> {
  if (subject === 'driver') {
    const device = await VirtioNetDevice.open(new VhostUserFrontend(path));
    const loop = bareLoop(device, 'forward', BURST, new Uint8Array(BYTES));
    return { poll: () => loop.poll(), close: () => device.close() };
  }
  const neighbours = { [CLIENT.ip]: CLIENT.mac };
  const port = await init({ device: `vhost-user:${path}`, ip: `${SERVER.ip}/24`, mac: SERVER.mac, neighbours });
  const core = port.core(0);
  const echo = createEcho(core);
  const poll = (): void => {
    echo.poll();
    core.flush();
  };
  return { poll, close: () => port.stop() };
}

const { poll, close } = await open();
while (pair.rxQueue === null || pair.txQueue === null) await nextTurn();

async function run(milliseconds: number): Promise<HeapWindow> {
  collect?.();
  const before = process.memoryUsage().heapUsed;
  const profiler = new GCProfiler();
  trips.forget();
  profiler.start();
  const heapBefore = process.memoryUsage().heapUsed;
  const end = performance.now() + milliseconds;
  while (performance.now() < end) {
    for (let round = 0; round < ROUNDS; round++) {
      trips.send(BURST);
      poll();
      trips.receive();
    }
    await nextTurn();
  }
  const heapAfter = process.memoryUsage().heapUsed;
  const statistics = profiler.stop()?.statistics ?? [];
  const packets = trips.answered;
  let freed = 0;
  let pauseMs = 0;
  let longestPauseMs = 0;
  for (const { cost, beforeGC, afterGC } of statistics) {
    freed += beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize;
    pauseMs += cost / 1000;
    longestPauseMs = Math.max(longestPauseMs, cost / 1000);
  }
  collect?.();
  const growth = process.memoryUsage().heapUsed - before;
  const allocated = heapAfter - heapBefore + freed;
  return { packets, allocated, collections: statistics.length, pauseMs, longestPauseMs, growth };
}

async function end(): Promise<void> {
  await close();
  backend.close();
  reactor.close();
  rmSync(folder, { recursive: true, force: true });
  process.exit();
}

process.once('SIGTERM', () => void end());
answerRequests(
  ([milliseconds]) => run(Number(milliseconds)),
  () => void end(),
);
