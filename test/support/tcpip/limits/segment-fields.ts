/** Segments as an attacker or a fuzzer makes them: any numbers, and a correct checksum. */
import { writeU16 } from '../../../../src/wire/bytes.js';
import {
  IP_PROTOCOL_TCP,
  IPV4_DSCP_ECN,
  IPV4_HEADER_BYTES,
  writeIpv4Checksum,
  writeIpv4Header,
} from '../../../../src/wire/ipv4.js';
import type { WireMemory } from '../../../../src/wire/memory.js';
import { TCP_HEADER_BYTES, TCP_URGENT_POINTER, writeTcpChecksum, writeTcpHeader } from '../../../../src/wire/tcp.js';

export interface SegmentFields {
  /** The sender's address as a number, and the ports. */
  remote: number;
  remotePort: number;
  localPort: number;
  seq: number;
  ack: number;
  flags: number;
  window: number;
  /** Bytes of options: a multiple of 4, at most 40. */
  optionBytes: number;
  /** Bytes of data. */
  length: number;
  ecn: number;
  urgent: number;
}

export const NO_SEGMENT: SegmentFields = {
  ...{ remote: 0, remotePort: 0, localPort: 0, seq: 0, ack: 0, flags: 0, window: 0 },
  ...{ optionBytes: 0, length: 0, ecn: 0, urgent: 0 },
};

/** Writes the IP packet of a segment at `ip`. Returns its length. */
export function writeSegment(
  memory: WireMemory,
  ip: number,
  fields: SegmentFields,
  options: Uint8Array,
  payload: Uint8Array,
  local: number,
): number {
  const { u8 } = memory;
  const tcp = ip + IPV4_HEADER_BYTES;
  const { optionBytes, length } = fields;
  const header = TCP_HEADER_BYTES + optionBytes;
  for (let i = 0; i < optionBytes; i++) u8[tcp + TCP_HEADER_BYTES + i] = options[i]!;
  for (let i = 0; i < length; i++) u8[tcp + header + i] = payload[i]!;
  writeIpv4Header(memory, ip, IPV4_HEADER_BYTES + header + length, IP_PROTOCOL_TCP, fields.remote, local);
  u8[ip + IPV4_DSCP_ECN] = fields.ecn;
  writeIpv4Checksum(memory, ip);
  const { remotePort, localPort, seq, ack, flags, window } = fields;
  writeTcpHeader(memory, ip, tcp, header + length, header, remotePort, localPort, seq, ack, flags, window);
  if (fields.urgent !== 0) {
    writeU16(u8, tcp + TCP_URGENT_POINTER, fields.urgent);
    writeTcpChecksum(memory, ip, tcp, header + length);
  }
  return IPV4_HEADER_BYTES + header + length;
}
