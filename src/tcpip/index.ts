/**
 * tspmd/tcpip: a TCP/IP stack for each core, above `tspmd`. See docs/tcp.md.
 *
 * @module tspmd/tcpip
 */
export { NetError, type NetErrorCode } from './errors.js';
export type { ConnectOptions, Listener, ListenOptions } from './tcp/open-options.js';
export type { TcpOptions } from './tcp/settings.js';
export type { Connection, ConnectionInfo, TcpHandlers } from './tcp/state/api.js';
export type { Tcp } from './tcp/tcp.js';
export { TcpIp, type TcpIpOptions } from './tcpip.js';
export type { UdpBindOptions, UdpHandlers, UdpSocket } from './udp/socket.js';
export type { Udp } from './udp/udp.js';
