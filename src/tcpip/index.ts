/**
 * tspmd/tcpip: the TCP/IP stack.
 *
 * @module tspmd/tcpip
 */
export { Clock } from './clock.js';
