/** The peer of `bench -- kernel`: a UDP echo with Node's `dgram` on the kernel's network. Its argument is the CPU. */
import { createSocket } from 'node:dgram';
import { pinPollingThread } from '../../drivers/libc/index.js';

const ECHO_PORT = 7;

await pinPollingThread(Number(process.argv[2]));
const socket = createSocket('udp4');
socket.on('message', (message, { port, address }) => socket.send(message, port, address));
socket.bind(ECHO_PORT, () => process.stdout.write('ready\n'));
process.once('SIGTERM', () => process.exit());
// It ends with the benchmark, which closes its input.
process.stdin.on('end', () => process.exit()).resume();
