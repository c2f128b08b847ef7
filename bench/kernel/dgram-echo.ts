/** What people would write otherwise: a UDP echo with Node's `dgram`, on the kernel's network. Argument: the CPU. */
import { createSocket } from 'node:dgram';
import { pinPollingThread } from '../../drivers/libc/index.js';

const ECHO_PORT = 7;

await pinPollingThread(Number(process.argv[2]));
const socket = createSocket('udp4');
socket.on('message', (message, { port, address }) => socket.send(message, port, address));
socket.bind(ECHO_PORT, () => process.stdout.write('ready\n'));
process.once('SIGTERM', () => process.exit());
// Nothing outlives the benchmark.
process.stdin.on('end', () => process.exit()).resume();
