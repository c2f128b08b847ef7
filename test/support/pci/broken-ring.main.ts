/**
 * Runs in a guest: echoes on a PCI device. At each line of its standard input it breaks its own transmit ring, so that
 * the device finds the driver at fault and asks for a reset (virtio 1.2, 2.1.2).
 */
import { createInterface } from 'node:readline';
import type { VirtioNetDevice } from '../../../drivers/virtio/virtio-net-device.js';
import { init, runStack } from '../../../src/index.js';
import { loadApp } from '../../../src/load-app.js';
import { openDevice } from '../../../src/open-device.js';
import { createStack } from '../../../src/stack.js';

/** Until the next attempt. */
const RETRY_MS = 20;

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
/** While the device has not noticed. */
let breaking: NodeJS.Timeout | undefined;
port.on('link', (state, reason) => {
  clearInterval(breaking);
  console.log(`link ${state}: ${reason}`);
});

/** Says by the available index that more entries were published than the queue has. */
function breakRing(): void {
  const { memory, tx } = opened!;
  const index = (tx.layout.driver + 2) >> 1;
  memory.u16[index] = (memory.u16[index]! + 5000) & 0xffff;
  tx.kick();
}

const stop = new AbortController();
createInterface({ input: process.stdin })
  .on('line', () => {
    // The next frame that is sent sets the index right again, perhaps before the device has looked.
    clearInterval(breaking);
    breaking = setInterval(breakRing, RETRY_MS);
    breakRing();
  })
  .on('close', () => {
    clearInterval(breaking);
    stop.abort();
  });

const core = port.core(0);
console.log('ready');
await runStack(core, createStack('echo', await loadApp('echo'), core, {}), { signal: stop.signal });
await port.stop();
