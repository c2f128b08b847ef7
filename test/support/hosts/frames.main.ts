/**
 * Sends frames as they are by an interface, also such as no kernel would send. Arguments: the interface, and each frame in
 * hexadecimal. Prints `sent`.
 */
import { emptyBurst } from '../../../bess/modules/batch.js';
import { Reactor } from '../../../drivers/libc/index.js';
import { WindowAllocator } from '../../../drivers/memory/index.js';
import { AfPacketDevice } from '../../../drivers/transports/af-packet/device.js';
import { MAX_FRAME_BYTES } from '../../../drivers/virtio/device/tx-queue.js';

const [ifname = '', ...frames] = process.argv.slice(2);
const reactor = new Reactor();
const windows = new WindowAllocator();
const { window, offset } = windows.allocate(MAX_FRAME_BYTES);
const device = AfPacketDevice.open(ifname, { reactor, windows });
const burst = emptyBurst();
burst.memory = window;
for (const frame of frames) {
  const bytes = Buffer.from(frame, 'hex');
  window.u8.set(bytes, offset);
  burst.clear();
  burst.push(offset, bytes.length);
  if (device.put(burst, Uint8Array.of(0), 1) !== 1) throw new Error(`not sent: ${JSON.stringify(device.counters())}`);
}
device.close();
reactor.close();
process.stdout.write('sent\n');
