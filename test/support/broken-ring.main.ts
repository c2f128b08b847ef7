/**
 * Runs in a guest: echoes on a PCI device, and at each line of its standard input breaks its own transmit ring, so that
 * the device finds its driver at fault and asks for a reset (virtio 1.2, 2.1.2).
 */
import { createInterface } from 'node:readline';
import type { VirtioNetDevice } from '../../drivers/virtio/net-device.js';
import { loadApp } from '../../src/apps/index.js';
import { init, runStack } from '../../src/index.js';
import { openDevice } from '../../src/open-device.js';
import { createStack } from '../../src/stack.js';

const [, , device = '', ip = ''] = process.argv;
let opened: VirtioNetDevice | undefined;
const port = await init(
  { device, ip },
  {
    openDevice: async (config, wait) => {
      opened = await openDevice(config, wait);
      return opened;
    },
  },
);
port.onLink = (state, reason) => console.log(`link ${state}: ${reason}`);

const stop = new AbortController();
createInterface({ input: process.stdin })
  .on('line', () => {
    const { memory, tx } = opened!;
    // The available index says that more entries were published than the queue has.
    const index = (tx.layout.driver + 2) >> 1;
    memory.u16[index] = (memory.u16[index]! + 5000) & 0xffff;
    tx.kick();
  })
  .on('close', () => stop.abort());

const core = port.core(0);
console.log('ready');
await runStack(core, createStack('echo', await loadApp('echo'), core, {}), { signal: stop.signal });
await port.stop();
