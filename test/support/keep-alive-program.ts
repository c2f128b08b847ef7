/** The beginning of a program that opens a port, and stops it when nothing else keeps the program alive. */

const PACKAGE = new URL('../../dist/src/index.js', import.meta.url).href;

/** Its last argument is the device. `port` and `core` are for what follows. */
export const KEEP_ALIVE_PROGRAM = `
import { init } from '${PACKAGE}';
const options = { warn: () => {} };
const port = await init({ device: process.argv.at(-1), ip: '192.0.2.2/24', hugepages: 'never' }, options);
const core = port.core();
let stopping = false;
process.once('beforeExit', async () => {
  stopping = true;
  console.log('beforeExit');
  await port.stop();
  console.log('stopped');
});
`;
