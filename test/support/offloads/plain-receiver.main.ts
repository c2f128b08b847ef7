/**
 * Serves HTTP on a device with offloads, and then has the device leave them on what it receives. `plain-receiver.main.js
 * DEVICE IP`. Prints a line that begins with `ready`; ends with SIGTERM.
 */
import { init } from '../../../src/index.js';

const [device, ip] = process.argv.slice(2) as [string, string];
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
const port = await init({ device, ip, app: 'http', offloads: 'auto' });
await port.setReceiveOffloads(false);
console.log('ready: plain packets only');
await port.run(stop.signal);
await port.stop();
