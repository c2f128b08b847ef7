/**
 * tspmd/net: `node:net` over a NIC that tspmd drives, without the kernel.
 *
 * @example
 * import { createServer, openHost } from 'tspmd/net';
 *
 * const host = await openHost({ device: 'tap:tspmd0,host=10.0.0.9/24', ip: '10.0.0.1/24' });
 * const server = createServer((socket) => socket.pipe(socket));
 * server.listen(7);
 *
 * @module tspmd/net
 */
import { currentHost } from '../current.js';
import { makeNet } from './make-net.js';

export { currentHost } from '../current.js';
export { NetHost, type NetHostOptions } from '../host.js';
export { type DeviceHost, openHost } from '../open-host.js';
export type { Net } from './make-net.js';

export const { Socket, Server, createServer, connect, createConnection, overHost } = makeNet(currentHost);
