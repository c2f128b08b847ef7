/** The fixed part of a segment that we send (RFC 9293, 3.1), the same for every kind of segment. */
import { writeI32 } from '../../../wire/bytes.js';
import { IP_PROTOCOL_TCP } from '../../../wire/ipv4.js';

/**
 * Writes the first 20 bytes. The checksum is 0: it is computed when options and data are in place.
 * @param tcp offset of the first byte
 * @param ports our port in the high half, the peer's in the low half
 * @param header bytes of the header with its options
 * @param window value of the field, at most 65535
 */
export function writeSegmentHeader(
  u8: Uint8Array,
  tcp: number,
  ports: number,
  seq: number,
  ack: number,
  header: number,
  flags: number,
  window: number,
): void {
  writeI32(u8, tcp, ports);
  writeI32(u8, tcp + 4, seq);
  writeI32(u8, tcp + 8, ack);
  writeI32(u8, tcp + 12, (header << 26) | (flags << 16) | window);
  writeI32(u8, tcp + 16, 0);
}

/** The partial sum of the pseudo header between two addresses, for a segment of `length` bytes. */
export function pseudoHeaderSum(local: number, remote: number, length: number): number {
  return (local >>> 16) + (local & 0xffff) + (remote >>> 16) + (remote & 0xffff) + IP_PROTOCOL_TCP + length;
}
