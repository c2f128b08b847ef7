/** Frames for tests, built byte by byte and with their own checksum: not with the code under test. */

export const OUR_MAC = [0x52, 0x54, 0, 0, 0, 1];
export const PEER_MAC = [0x52, 0x54, 0, 0, 0, 2];
export const OTHER_MAC = [0x52, 0x54, 0, 0, 0, 3];
export const BROADCAST = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
export const OUR_IP = '10.0.0.1';
export const PEER_IP = '10.0.0.2';

const octets = (ip: string): number[] => ip.split('.').map(Number);
const word = (value: number): number[] => [(value >>> 8) & 0xff, value & 0xff];

/** RFC 1071 as it is written there, two bytes at a time. */
export function naiveChecksum(bytes: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += (bytes[i]! << 8) | (i + 1 < bytes.length ? bytes[i + 1]! : 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return ~sum & 0xffff;
}

export interface EthernetFields {
  destination?: number[];
  source?: number[];
  type?: number;
}

export function ethernet(payload: number[], fields: EthernetFields = {}): Uint8Array {
  const { destination = OUR_MAC, source = PEER_MAC, type = 0x0800 } = fields;
  return Uint8Array.from([...destination, ...source, ...word(type), ...payload]);
}

export interface Ipv4Fields {
  source?: string;
  destination?: string;
  protocol?: number;
  ttl?: number;
  /** Flags and fragment offset. */
  fragment?: number;
  version?: number;
  /** Options; a multiple of four bytes. */
  options?: number[];
  /** Replaces the right checksum. */
  totalLength?: number;
  headerWords?: number;
}

export function ipv4(payload: number[], fields: Ipv4Fields = {}): number[] {
  const { source = PEER_IP, destination = OUR_IP, protocol = 253, ttl = 17, fragment = 0, options = [] } = fields;
  const headerWords = fields.headerWords ?? 5 + options.length / 4;
  const length = fields.totalLength ?? 20 + options.length + payload.length;
  const header = [((fields.version ?? 4) << 4) | headerWords, 0, ...word(length), 0xab, 0xcd, ...word(fragment)];
  header.push(ttl, protocol, 0, 0, ...octets(source), ...octets(destination), ...options);
  const sum = naiveChecksum(header);
  header[10] = sum >>> 8;
  header[11] = sum & 0xff;
  return [...header, ...payload];
}

export function icmpEcho(payload: number[], type = 8, identifier = 0x1234, sequence = 1): number[] {
  const message = [type, 0, 0, 0, ...word(identifier), ...word(sequence), ...payload];
  const sum = naiveChecksum(message);
  message[2] = sum >>> 8;
  message[3] = sum & 0xff;
  return message;
}

export function udp(
  payload: number[],
  sourcePort: number,
  destinationPort: number,
  source = PEER_IP,
  destination = OUR_IP,
): number[] {
  const length = 8 + payload.length;
  const datagram = [...word(sourcePort), ...word(destinationPort), ...word(length), 0, 0, ...payload];
  const sum = naiveChecksum([...octets(source), ...octets(destination), 0, 17, ...word(length), ...datagram]) || 0xffff;
  datagram[6] = sum >>> 8;
  datagram[7] = sum & 0xff;
  return datagram;
}

/** A UDP datagram of a flow (its source port) with a number in it. */
export function flowPacket(flow: number, number: number): Uint8Array {
  const payload = [number >>> 24, (number >>> 16) & 0xff, (number >>> 8) & 0xff, number & 0xff];
  return ethernet(ipv4(udp(payload, flow, 7), { protocol: 17 }));
}

export interface ArpFields {
  operation?: number;
  senderMac?: number[];
  senderIp?: string;
  targetMac?: number[];
  targetIp?: string;
  destination?: number[];
  source?: number[];
}

export function arp(fields: ArpFields = {}): Uint8Array {
  const { operation = 1, senderMac = PEER_MAC, senderIp = PEER_IP, targetMac = [0, 0, 0, 0, 0, 0] } = fields;
  const { targetIp = OUR_IP, destination = operation === 1 ? BROADCAST : OUR_MAC, source = senderMac } = fields;
  const packet = [0, 1, 8, 0, 6, 4, ...word(operation), ...senderMac, ...octets(senderIp), ...targetMac];
  return ethernet([...packet, ...octets(targetIp)], { destination, source, type: 0x0806 });
}

/** Our request for `ip`, to all stations or to the one at `destination`. */
export function arpRequest(ip: string, destination = BROADCAST): Uint8Array {
  return arp({ senderMac: OUR_MAC, senderIp: OUR_IP, targetIp: ip, destination });
}

/** The reply of a neighbour. */
export function arpReply(ip = PEER_IP, mac = PEER_MAC): Uint8Array {
  return arp({ operation: 2, senderMac: mac, senderIp: ip, targetMac: OUR_MAC });
}

export const isArp = (frame: Uint8Array): boolean => frame[12] === 8 && frame[13] === 6;
