/** The thread of one core: attaches to the rings, makes the stack from the application's module, and runs it. */
import { workerData } from 'node:worker_threads';
import { CounterBlock } from '../../rings/counters.js';
import { runStack } from '../link/run-loop.js';
import { loadApp } from '../load-app.js';
import { createStack } from '../stack.js';
import { RingCore } from './core/ring-core.js';
import { Interconnect } from './interconnect.js';
import type { OpenedDevice, StackStart } from './messages.js';
import { onOrder, report, runThread, settle } from './thread.js';

await runThread(async () => {
  const start = workerData as StackStart;
  const { config, app, appOptions, index } = start;
  const stop = new AbortController();
  let attach = (_: OpenedDevice | null): void => {};
  let go = (): void => {};
  const attached = new Promise<OpenedDevice | null>((resolve) => {
    attach = resolve;
  });
  const told = new Promise<void>((resolve) => {
    go = resolve;
  });
  onOrder((order) => {
    if (order.type === 'attach') return attach(order.device);
    if (order.type === 'stop') stop.abort();
    // There will be none, if there was none before.
    attach(null);
    go();
  });
  await settle(start);
  // While the Rx worker opens the device.
  const module = await loadApp(app);
  const device = await attached;
  if (device === null) return undefined;
  const { buffer, start: from, bytes, geometry, mtu: deviceMtu } = device;
  const memory = {
    u8: new Uint8Array(buffer, from, bytes),
    u16: new Uint16Array(buffer, from, bytes >>> 1),
    u32: new Uint32Array(buffer, from, bytes >>> 2),
  };
  const counters = CounterBlock.attach(start.counters);
  const { address, prefixLength, gateway, mtu, layer, idle } = config;
  const core = new RingCore(new Interconnect(start.interconnect), {
    ...{ memory, geometry, deviceMtu, index, counters, rss: start.rss },
    ...{ address, prefixLength, gateway, mtu, layer, idle },
  });
  const stack = createStack(app, module, core, appOptions);
  report({ type: 'ready' });
  // A stack that fails at once is not to look like a port that does not start.
  await told;
  await runStack(core, stack, { signal: stop.signal });
  core.close();
  return stack.report?.();
});
