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
import { makeNet, type Net } from './make-net.js';

export { currentHost } from '../current.js';
export { NetHost, type NetHostOptions } from '../host.js';
export { type DeviceHost, openHost } from '../open-host.js';
export type { Net };

const net: Net = makeNet(currentHost);

/** As `net.Socket`, over the host that is open. */
export const Socket: Net['Socket'] = net.Socket;
/** As `net.Server`, over the host that is open. */
export const Server: Net['Server'] = net.Server;
/** As `net.createServer`, over the host that is open. */
export const createServer: Net['createServer'] = net.createServer;
/** As `net.connect`, over the host that is open. */
export const connect: Net['connect'] = net.connect;
/** As `net.createConnection`, over the host that is open. */
export const createConnection: Net['createConnection'] = net.createConnection;
/** As {@link Net.overHost}, over the host that is open. */
export const overHost: Net['overHost'] = net.overHost;
