/** Programs with `tspmd/dgram` on a tap interface, and Node's own sockets on the kernel at the other end. */
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import { command, describeWith, root, tun } from '../support/requirements.js';

const PROGRAM = fileURLToPath(new URL('../../dist/test/support/node/dgram.main.js', import.meta.url));
const OURS = '10.0.0.1';
const KERNELS = '10.0.0.9';

const ECHO = `
const socket = require('dgram').createSocket('udp4', (message, { port, address }) => socket.send(message, port, address));
socket.bind(7, '${KERNELS}', () => console.log('bound'));`;

/** Asks with each size in turn; then says that it is enough. */
const ASK = `
const socket = require('dgram').createSocket('udp4');
const sizes = [0, 1, 1472, 1473, 30000, 65507];
const next = () => socket.send(sizes.length > 0 ? Buffer.alloc(sizes[0], 7) : 'stop', 7, '${OURS}');
socket.on('message', (message, { port, address }) => {
  console.log(message.length + ' from ' + address + ':' + port);
  if (sizes.length === 0) return socket.close();
  if (sizes.shift() === message.length) next();
});
socket.bind(0, '${KERNELS}', next);`;

describeWith('programs with tspmd/dgram on a tap', [root, tun, command('ip')], () => {
  const children: Child[] = [];
  let namespace: NetworkNamespace;

  const start = (...args: string[]): Child => {
    const child = namespace.spawn('timeout', '20', process.execPath, ...args);
    children.push(child);
    return child;
  };

  beforeEach(() => {
    namespace = NetworkNamespace.create();
    namespace.addTap('tap0', `${KERNELS}/24`);
  });

  afterEach(async () => {
    await Promise.allSettled(children.splice(0).map((child) => child.stop()));
    namespace.remove();
  });

  it('ask a server of the kernel, and end when their sockets are closed', async () => {
    await start('-e', ECHO).waitFor(/^bound/m);
    const asker = start(PROGRAM, 'tap:tap0', `${OURS}/24`, 'ask', KERNELS);
    const { code } = await asker.exited;
    expect(asker.stdout.trim().split('\n'), asker.output).toEqual([
      ...[0, 1, 1472, 1473, 30_000, 65_507].map((size) => `${size} true ${KERNELS}:7`),
      'recvmsg ECONNREFUSED',
    ]);
    expect(code).toBe(0);
  });

  it('serve a client of the kernel', async () => {
    const server = start(PROGRAM, 'tap:tap0', `${OURS}/24`, 'serve');
    await server.waitFor(/^ready/m);
    const client = start('-e', ASK);
    expect((await client.exited).code, client.output).toBe(0);
    expect(client.stdout.trim().split('\n')).toEqual(
      [0, 1, 1472, 1473, 30_000, 65_507, 4].map((size) => `${size} from ${OURS}:7`),
    );
    expect((await server.exited).code, server.output).toBe(0);
  });
});
