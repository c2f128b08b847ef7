/**
 * TCP and UDP frames as a sender makes them that leaves checksums and segmentation to others, byte by byte from the
 * RFCs: nothing here is shared with the code under test.
 */

export interface PacketShape {
  readonly protocol?: 'tcp' | 'udp';
  readonly version?: 4 | 6;
  /** Bytes of payload. */
  readonly payload?: number;
  /** Number of VLAN tags. */
  readonly tags?: number;
  /** Bytes of options in the IPv4 header, and of a hop-by-hop header in IPv6; multiples of 4 and of 8. */
  readonly ipOptions?: number;
  /** Bytes of TCP options, a multiple of 4. */
  readonly tcpOptions?: number;
  /** The TCP flags byte. Default: ACK. */
  readonly flags?: number;
  readonly sequence?: number;
  readonly identification?: number;
  /** The payload depends on it. */
  readonly seed?: number;
  /** Whether the checksum field holds the sum of the pseudo header only. Default: yes. */
  readonly partial?: boolean;
}

export interface MadePacket {
  readonly frame: Uint8Array;
  /** Where the transport header begins in the frame, and where its checksum lies from there. */
  readonly csumStart: number;
  readonly csumOffset: number;
  /** Bytes of all headers. */
  readonly headers: number;
}

export const TCP = 6;
export const UDP = 17;
export const FIN = 0x01;
export const PSH = 0x08;
export const ACK = 0x10;
export const CWR = 0x80;

/** The sum of 16-bit words in network order, an odd last byte as a high one, with all carries added (RFC 1071). */
export function sumOf(bytes: Uint8Array, initial = 0): number {
  let sum = initial;
  for (let i = 0; i < bytes.length; i++) sum += i % 2 === 0 ? bytes[i]! * 256 : bytes[i]!;
  while (sum > 0xffff) sum = (sum % 0x1_0000) + Math.floor(sum / 0x1_0000);
  return sum;
}

/** Where the IP header of a frame begins, and its version; null if it is neither. */
export function ipOf(frame: Uint8Array): { at: number; version: 4 | 6 } | null {
  let at = 12;
  for (; at + 2 <= frame.length; at += 4) {
    const type = frame[at]! * 256 + frame[at + 1]!;
    if (type === 0x0800) return { at: at + 2, version: 4 };
    if (type === 0x86dd) return { at: at + 2, version: 6 };
    if (type !== 0x8100 && type !== 0x88a8) return null;
  }
  return null;
}

/** The sum of the pseudo header of RFC 9293, 3.1, for a transport part of `length` bytes. */
export function pseudoSum(frame: Uint8Array, ip: { at: number; version: 4 | 6 }, protocol: number, length: number) {
  const from = ip.at + (ip.version === 4 ? 12 : 8);
  const addresses = frame.subarray(from, from + (ip.version === 4 ? 8 : 32));
  return sumOf(addresses, protocol + (length & 0xffff) + (length >>> 16));
}

/** Makes a frame. Its IP header has a right checksum. */
export function packetOf(shape: PacketShape = {}): MadePacket {
  const { protocol = 'tcp', version = 4, payload = 100, tags = 0, ipOptions = 0, tcpOptions = 0, seed = 1 } = shape;
  const ipBytes = (version === 4 ? 20 : 40) + ipOptions;
  const transportBytes = protocol === 'tcp' ? 20 + tcpOptions : 8;
  const at = 14 + 4 * tags;
  const csumStart = at + ipBytes;
  const headers = csumStart + transportBytes;
  const frame = new Uint8Array(headers + payload);
  const view = new DataView(frame.buffer);
  frame.set([0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1]);
  for (let tag = 0; tag < tags; tag++) view.setUint32(12 + 4 * tag, 0x8100_0000 + 7 + tag);
  view.setUint16(at - 2, version === 4 ? 0x0800 : 0x86dd);
  const number = protocol === 'tcp' ? TCP : UDP;
  // The length of a frame longer than IP can say is left out, as Linux does for its largest packets.
  if (version === 4) {
    frame[at] = 0x40 + ipBytes / 4;
    view.setUint16(at + 2, ipBytes + transportBytes + payload);
    view.setUint16(at + 4, shape.identification ?? 0x1234);
    view.setUint16(at + 6, 0x4000);
    frame[at + 8] = 64;
    frame[at + 9] = number;
    frame.set([10, 0, 0, 1, 10, 0, 0, 2], at + 12);
    frame.fill(1, at + 20, at + ipBytes);
    view.setUint16(at + 10, 0xffff - sumOf(frame.subarray(at, at + ipBytes)));
  } else {
    frame[at] = 0x60;
    view.setUint16(at + 4, ipOptions + transportBytes + payload);
    frame[at + 6] = ipOptions > 0 ? 0 : number;
    frame[at + 7] = 64;
    frame.set([0xfd, 0, 0, 1], at + 8);
    frame[at + 23] = 1;
    frame.set([0xfd, 0, 0, 1], at + 24);
    frame[at + 39] = 2;
    // Hop-by-hop options (RFC 8200, 4.3): one option of padding.
    if (ipOptions > 0) frame.set([number, ipOptions / 8 - 1, 1, ipOptions - 4], at + 40);
  }
  view.setUint16(csumStart, 40000);
  view.setUint16(csumStart + 2, 80);
  if (protocol === 'tcp') {
    view.setUint32(csumStart + 4, shape.sequence ?? 0xffff_ff00);
    view.setUint32(csumStart + 8, 0x0102_0304);
    frame[csumStart + 12] = (transportBytes / 4) << 4;
    frame[csumStart + 13] = shape.flags ?? ACK;
    view.setUint16(csumStart + 14, 0x7fff);
    frame.fill(1, csumStart + 20, headers);
  } else {
    view.setUint16(csumStart + 4, transportBytes + payload);
  }
  for (let i = 0; i < payload; i++) frame[headers + i] = (i * 7 + (i >>> 8) * 13 + seed * 31) & 0xff;
  const csumOffset = protocol === 'tcp' ? 16 : 6;
  const pseudo = pseudoSum(frame, { at, version }, number, frame.length - csumStart);
  const sum = shape.partial === false ? 0xffff - sumOf(frame.subarray(csumStart), pseudo) : pseudo;
  view.setUint16(csumStart + csumOffset, protocol === 'udp' && sum === 0 ? 0xffff : sum);
  return { frame, csumStart, csumOffset, headers };
}
