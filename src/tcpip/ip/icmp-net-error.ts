/** ICMP errors as Node's error codes; which code belongs to which message is as in Linux. */
import { formatIpv4 } from '../../wire/address.js';
import { ICMP_DESTINATION_UNREACHABLE, ICMP_PORT_UNREACHABLE, ICMP_PROTOCOL_UNREACHABLE } from '../../wire/icmp.js';
import { type NetError, type NetErrorCode, netError } from '../errors.js';

/** Codes of ICMP "destination unreachable" that speak of the network, one bit each: 0, 6, 9, 11. */
const NETWORK_CODES = (1 << 0) | (1 << 6) | (1 << 9) | (1 << 11);

/**
 * Makes the error for an ICMP message about a packet to `address` and `port`.
 * @param type 3, 11 or 12
 */
export function icmpNetError(type: number, code: number, address: number, port: number): NetError {
  const peer = `${formatIpv4(address)}:${port}`;
  if (type !== ICMP_DESTINATION_UNREACHABLE) {
    return netError('EHOSTUNREACH', `${peer} was not reached (ICMP type ${type}, code ${code})`);
  }
  return netError(codeFor(code), `${peer} was not reached (ICMP destination unreachable, code ${code})`);
}

/** Whether this code of "destination unreachable" speaks of the network, and not of the host. */
export function isNetworkCode(code: number): boolean {
  return code < 32 && ((NETWORK_CODES >>> code) & 1) === 1;
}

function codeFor(code: number): NetErrorCode {
  if (code === ICMP_PORT_UNREACHABLE || code === ICMP_PROTOCOL_UNREACHABLE) return 'ECONNREFUSED';
  return isNetworkCode(code) ? 'ENETUNREACH' : 'EHOSTUNREACH';
}
