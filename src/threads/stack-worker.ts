/** The thread of one core: attaches to the rings, makes the stack from the module of the app, and runs it. */
import { workerData } from 'node:worker_threads';
import { CounterBlock } from '../../rings/counters.js';
import { PacketTable } from '../../rings/packet-table.js';
import type { Lease } from '../link/dhcp/lease.js';
import { runStack } from '../link/run-loop.js';
import { loadApp } from '../load-app.js';
import { createStack, type EventLoopStack, type Stack } from '../stack.js';
import { obeyCapture } from './captures.js';
import { RingCore } from './core/ring-core.js';
import { answerOf } from './core-answers.js';
import type { CoreQuestion, OpenedDevice, Order, StackStart } from './messages.js';
import { Interconnect } from './shared/interconnect.js';
import { keepThreadAlive, nameAndPin, onOrder, report, runThread } from './thread-main.js';

const mayEnd = (stack: Stack | EventLoopStack): boolean => (stack as Partial<EventLoopStack>).mayEnd === true;

/** What the core waits for. */
interface Attached {
  readonly device: OpenedDevice;
  readonly lease: Lease | null;
}

await runThread(async () => {
  const setup = workerData as StackStart;
  const { config, app, appOptions, index } = setup;
  const stop = new AbortController();
  let attach = (_: Attached | null): void => {};
  let start = (): void => {};
  const attached = new Promise<Attached | null>((resolve) => {
    attach = resolve;
  });
  let coreNow: RingCore | null = null;
  let stackNow: Stack | EventLoopStack | null = null;
  const answer = async (id: number, question: CoreQuestion): Promise<void> =>
    report({ type: 'answer', id, answer: await answerOf(question, coreNow, stackNow) });
  let onLease = (_: Lease | null): void => {};
  let capture = (_: Order): void => {};
  const started = new Promise<void>((resolve) => {
    start = resolve;
  });
  onOrder((order) => {
    if (order.type === 'attach') return attach(order);
    if (order.type === 'lease') return onLease(order.lease);
    if (order.type === 'ask') return void answer(order.id, order.question);
    if (order.type === 'stop') stop.abort();
    else if (order.type !== 'start') return capture(order);
    // 'start' or 'stop'. If no device was attached before, none will be.
    attach(null);
    start();
  });
  await nameAndPin(setup);
  // The Rx worker opens the device meanwhile.
  const module = await loadApp(app);
  const given = await attached;
  if (given === null) return undefined;
  const { device, lease } = given;
  const { buffer, start: from, bytes, geometry, mtu: deviceMtu } = device;
  const memory = {
    u8: new Uint8Array(buffer, from, bytes),
    u16: new Uint16Array(buffer, from, bytes >>> 1),
    u32: new Uint32Array(buffer, from, bytes >>> 2),
  };
  const counters = CounterBlock.attach(setup.counters);
  const { mtu, layer, idle } = config;
  const core = new RingCore(new Interconnect(setup.interconnect), {
    ...{
      memory,
      geometry,
      table: new PacketTable(geometry.count, device.table),
      deviceMtu,
      index,
      counters,
      rss: setup.rss,
      keepAlive: keepThreadAlive,
    },
    ...{ mtu, layer, idle },
  });
  core.lease = lease;
  onLease = (next) => core.addressChanged(next);
  capture = (order) => obeyCapture(core.capture, order);
  const stack = createStack(app, module, core, appOptions);
  coreNow = core;
  stackNow = stack;
  report({ type: 'ready' });
  // A stack that fails at once must not look like a port that cannot start.
  await started;
  const running = runStack(core, stack, { signal: stop.signal });
  if (mayEnd(stack)) {
    process.on('exit', (exitCode) => report({ type: 'over', exitCode, totals: stack.report?.() }));
  }
  await running;
  core.close();
  return stack.report?.();
});
