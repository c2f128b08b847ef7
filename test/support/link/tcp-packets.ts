/** TCP packets over IPv4 and IPv6, and what segmentation makes of them: byte by byte, not with the code under test. */
import { naiveChecksum, OUR_IP, PEER_IP } from './frames.js';

const word = (value: number): number[] => [(value >>> 8) & 0xff, value & 0xff];
const long = (value: number): number[] => [...word(value >>> 16), ...word(value & 0xffff)];
const octets = (ip: string): number[] => ip.split('.').map(Number);
const OUR_IP6 = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const PEER_IP6 = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 2];

export const FIN = 1;
export const PSH = 8;
export const ACK = 0x10;
export const CWR = 0x80;

export interface TcpFields {
  readonly version?: 4 | 6;
  readonly identification?: number;
  readonly sequence?: number;
  readonly sourcePort?: number;
  readonly flags?: number;
  /** Options of TCP; a multiple of four bytes. */
  readonly options?: readonly number[];
  /** Options of IPv4; a multiple of four bytes. */
  readonly ipOptions?: readonly number[];
  /** From the peer to us. Default: from us to the peer. */
  readonly isReceived?: boolean;
  /** `partial`: the checksum field has the sum of the pseudo header. Default: the checksum is right. */
  readonly checksum?: 'partial' | 'right';
}

export interface TcpPacket {
  readonly bytes: number[];
  /** Where the TCP header begins. */
  readonly tcp: number;
  /** Bytes of all headers. */
  readonly headers: number;
}

/** A packet from its fields. */
export function tcpPacket(payload: ArrayLike<number>, fields: TcpFields = {}): TcpPacket {
  const { version = 4, sequence = 1000, flags = ACK, options = [], ipOptions = [], checksum = 'right' } = fields;
  const { isReceived = false, identification = 7, sourcePort = 5555 } = fields;
  const ours = version === 4 ? octets(OUR_IP) : OUR_IP6;
  const peers = version === 4 ? octets(PEER_IP) : PEER_IP6;
  const [source, destination] = isReceived ? [peers, ours] : [ours, peers];
  const tcpBytes = 20 + options.length;
  const tcpLength = tcpBytes + payload.length;
  const tcp = [...word(sourcePort), ...word(80), ...long(sequence), ...long(77), (tcpBytes / 4) << 4, flags];
  tcp.push(...word(512), 0, 0, 0, 0, ...options);
  const pseudo = [...source, ...destination, 0, 6, ...word(tcpLength)];
  const covered = checksum === 'partial' ? pseudo : [...pseudo, ...tcp, ...Array.from(payload)];
  const sum = naiveChecksum(covered);
  // 0xffff is the same sum as 0, which UDP has for "none": whoever completes a partial checksum writes 0xffff.
  tcp.splice(16, 2, ...word(checksum === 'partial' ? ~sum & 0xffff : sum || 0xffff));
  const ip =
    version === 4
      ? ipv4Header(source, destination, tcpLength, identification, ipOptions)
      : [0x60, 0, 0, 0, ...word(tcpLength), 6, 64, ...source, ...destination];
  return { bytes: [...ip, ...tcp, ...Array.from(payload)], tcp: ip.length, headers: ip.length + tcpBytes };
}

function ipv4Header(
  source: readonly number[],
  destination: readonly number[],
  tcpLength: number,
  identification: number,
  options: readonly number[],
): number[] {
  const bytes = 20 + options.length;
  const header = [0x40 | (bytes / 4), 0, ...word(bytes + tcpLength), ...word(identification), 0x40, 0, 64, 6, 0, 0];
  header.push(...source, ...destination, ...options);
  header.splice(10, 2, ...word(naiveChecksum(header)));
  return header;
}

/** The packets that a packet with these fields is cut into: `size` bytes of payload each. */
export function segmentsOf(payload: ArrayLike<number>, size: number, fields: TcpFields): number[][] {
  const { sequence = 1000, identification = 7, flags = ACK } = fields;
  const bytes = Array.from(payload);
  const segments: number[][] = [];
  for (let done = 0; done < bytes.length; done += size) {
    const isLast = done + size >= bytes.length;
    let own = flags;
    if (!isLast) own &= ~(FIN | PSH);
    if (done > 0) own &= ~CWR;
    const part = { sequence: (sequence + done) >>> 0, flags: own, checksum: 'right' as const };
    const number = (identification + segments.length) & 0xffff;
    segments.push(tcpPacket(bytes.slice(done, done + size), { ...fields, ...part, identification: number }).bytes);
  }
  return segments;
}
