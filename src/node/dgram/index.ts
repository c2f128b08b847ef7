/**
 * tspmd/dgram: `node:dgram` over a NIC that tspmd drives, without the kernel.
 *
 * @example
 * import { createSocket } from 'tspmd/dgram';
 * import { openHost } from 'tspmd/net';
 *
 * const host = await openHost({ device: 'tap:tspmd0,host=10.0.0.9/24', ip: '10.0.0.1/24' });
 * const socket = createSocket('udp4');
 * socket.on('message', (message, { port, address }) => socket.send(message, port, address));
 * socket.bind(7);
 *
 * @module tspmd/dgram
 */
import { currentHost } from '../current.js';
import { type Dgram, makeDgram } from './make-dgram.js';

export type { Dgram };

const dgram: Dgram = makeDgram(currentHost);

/** As `dgram.Socket`, over the host that is open. */
export const Socket: Dgram['Socket'] = dgram.Socket;
/** As `dgram.createSocket`, over the host that is open. */
export const createSocket: Dgram['createSocket'] = dgram.createSocket;
