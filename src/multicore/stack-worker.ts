/** The thread of one core: attaches to the rings, makes the stack from the application's module, and runs it. */
import { workerData } from 'node:worker_threads';
import { CounterBlock } from '../../rings/counters.js';
import { loadApp } from '../apps/index.js';
import { runStack } from '../run-loop.js';
import { createStack } from '../stack.js';
import { Interconnect } from './interconnect.js';
import type { StackStart } from './messages.js';
import { RingCore } from './ring-core.js';
import { onOrder, report, runThread, settle } from './thread.js';

await runThread(async () => {
  const start = workerData as StackStart;
  const { config, device, app, appOptions, index } = start;
  await settle(start);
  const { buffer, start: from, bytes, geometry } = device;
  const memory = {
    u8: new Uint8Array(buffer, from, bytes),
    u16: new Uint16Array(buffer, from, bytes >>> 1),
    u32: new Uint32Array(buffer, from, bytes >>> 2),
  };
  const counters = CounterBlock.attach(start.counters);
  const { address, prefixLength, gateway, mtu, layer, idle } = config;
  const core = new RingCore(new Interconnect(start.interconnect), {
    ...{ memory, geometry, deviceMtu: device.mtu, index, counters, rss: start.rss },
    ...{ address, prefixLength, gateway, mtu, layer, idle },
  });
  const stop = new AbortController();
  const told = new Promise<void>((resolve) => {
    onOrder((order) => {
      if (order.type === 'stop') stop.abort();
      resolve();
    });
  });
  const stack = createStack(app, await loadApp(app), core, appOptions);
  report({ type: 'ready' });
  // A stack that fails at once is not to look like a port that does not start.
  await told;
  await runStack(core, stack, { signal: stop.signal });
  core.close();
  return stack.report?.();
});
