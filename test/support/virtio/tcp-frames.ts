/**
 * TCP frames as a sender with offloads leaves them, and the frames that must come of them: each is built from its
 * description, not cut out of the large one.
 */
import { naiveChecksum } from '../link/frames.js';

export const FIN = 0x01;
export const PSH = 0x08;
export const ACK = 0x10;
export const CWR = 0x80;

/** A TCP segment and what is around it. */
export interface TcpFrame {
  readonly version: 4 | 6;
  readonly payload: readonly number[];
  /** VLAN tags before the EtherType: their two bytes after 0x8100. */
  readonly tags?: readonly number[];
  /** Bytes of options of IPv4, or of an extension header of IPv6 (a multiple of 8). */
  readonly ipOptions?: number;
  /** Bytes of TCP options. */
  readonly tcpOptions?: number;
  readonly sequence?: number;
  readonly id?: number;
  readonly flags?: number;
}

const word = (value: number): number[] => [(value >>> 8) & 0xff, value & 0xff];
const count = (bytes: number, from: number): number[] => Array.from({ length: bytes }, (_, i) => (from + i) & 0xff);

/** Bytes before the TCP header. */
export function tcpStart({ version, tags = [], ipOptions = 0 }: TcpFrame): number {
  return 14 + tags.length * 4 + (version === 4 ? 20 : 40) + ipOptions;
}

/** Bytes of all headers. */
export function headersOf(frame: TcpFrame): number {
  return tcpStart(frame) + 20 + (frame.tcpOptions ?? 0);
}

/** The bytes of the frame. `partial`: its checksum is the sum of the pseudo header. */
export function bytesOf(frame: TcpFrame, checksum: 'partial' | 'complete'): number[] {
  const { version, payload, tags = [], ipOptions = 0, tcpOptions = 0, sequence = 0x01020304, id = 7 } = frame;
  const tcpBytes = 20 + tcpOptions + payload.length;
  const [source, target] = version === 4 ? [count(4, 10), count(4, 20)] : [count(16, 0x20), count(16, 0x40)];
  const pseudo = [...source, ...target, ...word(tcpBytes >>> 16), ...word(tcpBytes), 0, 6];
  const tcp = [
    ...word(40000),
    ...word(80),
    ...word(sequence >>> 16),
    ...word(sequence),
    ...count(4, 90),
    ((20 + tcpOptions) / 4) << 4,
    frame.flags ?? ACK,
    ...word(500),
    0,
    0,
    ...word(0),
    ...count(tcpOptions, 3),
    ...payload,
  ];
  const sum = checksum === 'partial' ? ~naiveChecksum(pseudo) & 0xffff : naiveChecksum([...pseudo, ...tcp]) || 0xffff;
  tcp.splice(16, 2, ...word(sum));
  const type = version === 4 ? 0x0800 : 0x86dd;
  const ethernet = [...count(12, 1), ...tags.flatMap((tag) => [0x81, 0, ...word(tag)]), ...word(type)];
  if (version === 6) {
    const extension = ipOptions === 0 ? [] : [6, ipOptions / 8 - 1, ...count(ipOptions - 2, 0)];
    const ip = [0x60, 1, 2, 3, ...word(ipOptions + tcpBytes), ipOptions === 0 ? 6 : 0, 64, ...source, ...target];
    return [...ethernet, ...ip, ...extension, ...tcp];
  }
  const header = 20 + ipOptions;
  const ip = [
    0x40 | (header / 4),
    2,
    ...word(header + tcpBytes),
    ...word(id),
    0x40,
    0,
    64,
    6,
    0,
    0,
    ...source,
    ...target,
  ];
  ip.push(...count(ipOptions, 1));
  ip.splice(10, 2, ...word(naiveChecksum(ip)));
  return [...ethernet, ...ip, ...tcp];
}

/** The frames that the large one stands for, with `size` bytes of payload each. */
export function segmentsOf(frame: TcpFrame, size: number): TcpFrame[] {
  const { payload, sequence = 0x01020304, id = 7, flags = ACK } = frame;
  const segments: TcpFrame[] = [];
  for (let at = 0; at < payload.length; at += size) {
    const isLast = at + size >= payload.length;
    segments.push({
      ...frame,
      payload: payload.slice(at, at + size),
      sequence: (sequence + at) | 0,
      id: (id + segments.length) & 0xffff,
      flags: flags & (at === 0 ? 0xff : ~CWR) & (isLast ? 0xff : ~(FIN | PSH)),
    });
  }
  return segments;
}
