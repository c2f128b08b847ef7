/**
 * Packets of VXLAN as RFC 7348 has them, byte by byte, and what a receiver finds in them: nothing here is shared with the
 * code under test.
 */

export interface Outer {
  readonly etherSource: number[];
  readonly etherDestination: number[];
  readonly source: string;
  readonly destination: string;
  readonly vni: number;
  readonly sourcePort: number;
  readonly port: number;
}

export const OUTER: Outer = {
  etherSource: [2, 0, 0, 0, 0, 1],
  etherDestination: [2, 0, 0, 0, 0, 2],
  source: '192.168.0.1',
  destination: '192.168.0.2',
  vni: 0x3e7,
  sourcePort: 50_000,
  port: 4789,
};

/** What the fields of the headers are instead of the right values. */
export interface Wrong {
  readonly etherType?: number;
  readonly version?: number;
  /** Words of the IPv4 header; its options are of ones. */
  readonly words?: number;
  readonly total?: number;
  readonly fragment?: number;
  readonly protocol?: number;
  readonly ipSum?: number;
  readonly udpBytes?: number;
  readonly udpSum?: number;
  readonly flags?: number;
  readonly reserved?: number;
  /** Bytes behind the packet. */
  readonly padding?: number;
}

const octets = (ip: string): number[] => ip.split('.').map(Number);
const two = (value: number): number[] => [(value >>> 8) & 255, value & 255];

/** The checksum of a header, as RFC 1071 has it. */
export function headerSum(bytes: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] ?? 0) * 256 + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum % 0x1_0000) + Math.floor(sum / 0x1_0000);
  return 0xffff - sum;
}

/** Returns the packet that carries `inner`. */
export function carrying(inner: ArrayLike<number>, outer: Partial<Outer> = {}, wrong: Wrong = {}): Uint8Array {
  const { etherSource, etherDestination, source, destination, vni, sourcePort, port } = { ...OUTER, ...outer };
  const words = wrong.words ?? 5;
  const options = new Array<number>(Math.max(0, words * 4 - 20)).fill(1);
  const udpBytes = 16 + inner.length;
  const total = wrong.total ?? 20 + options.length + udpBytes;
  const version = wrong.version ?? 4;
  const ip = [version * 16 + words, 0, ...two(total), 0, 0, ...two(wrong.fragment ?? 0x4000), 64, wrong.protocol ?? 17];
  ip.push(0, 0, ...octets(source), ...octets(destination), ...options);
  ip.splice(10, 2, ...two(wrong.ipSum ?? headerSum(ip)));
  const udp = [...two(sourcePort), ...two(port), ...two(wrong.udpBytes ?? udpBytes), ...two(wrong.udpSum ?? 0)];
  const reserved = wrong.reserved ?? 0;
  const vxlan = [wrong.flags ?? 8, reserved, reserved, reserved, vni >>> 16, ...two(vni), reserved];
  const ether = [...etherDestination, ...etherSource, ...two(wrong.etherType ?? 0x0800)];
  const padding = new Array<number>(wrong.padding ?? 0).fill(0);
  return Uint8Array.from([...ether, ...ip, ...udp, ...vxlan, ...Array.from(inner), ...padding]);
}

/** What a receiver finds in a packet. */
export interface Carried {
  readonly inner: Uint8Array;
  readonly vni: number;
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly port: number;
}

/** Returns what a packet carries; a text if it is no sound packet of VXLAN. */
export function carriedBy(frame: Uint8Array): Carried | string {
  const at = (offset: number): number => frame[offset] ?? -1;
  const word = (offset: number): number => at(offset) * 256 + at(offset + 1);
  if (frame.length < 50) return 'short';
  if (word(12) !== 0x0800 || at(14) >> 4 !== 4 || (at(14) & 15) < 5) return 'not IPv4';
  const ipBytes = (at(14) & 15) * 4;
  const total = word(16);
  if (total < ipBytes + 16 || 14 + total > frame.length) return 'IPv4 length';
  if (headerSum(frame.subarray(14, 14 + ipBytes)) !== 0) return 'IPv4 checksum';
  if ((word(20) & 0x3fff) !== 0) return 'fragment';
  if (at(23) !== 17) return 'not UDP';
  const udp = 14 + ipBytes;
  const udpBytes = word(udp + 4);
  if (udpBytes < 16 + 14 || udpBytes > total - ipBytes) return 'UDP length';
  if ((at(udp + 8) & 8) === 0) return 'no VNI';
  return {
    inner: frame.slice(udp + 16, udp + udpBytes),
    vni: at(udp + 12) * 65_536 + word(udp + 13),
    source: frame.subarray(26, 30).join('.'),
    destination: frame.subarray(30, 34).join('.'),
    sourcePort: word(udp),
    port: word(udp + 2),
  };
}

/** Whether a frame, behind up to two VLAN tags, goes to this UDP port with a VXLAN header that has a VNI. */
export function isCarrier(frame: Uint8Array, port: number): boolean {
  const word = (offset: number): number => (frame[offset] ?? -1) * 256 + (frame[offset + 1] ?? -1);
  let ip = 14;
  for (let tags = 0; tags < 2 && [0x8100, 0x88a8].includes(word(ip - 2)); tags++) ip += 4;
  let udp = ip + 40;
  let protocol = frame[ip + 6];
  if (word(ip - 2) === 0x0800) {
    const words = (frame[ip] ?? 0) % 16;
    if (ip + 20 > frame.length || words < 5 || word(ip + 6) % 0x4000 !== 0) return false;
    udp = ip + words * 4;
    protocol = frame[ip + 9];
  } else if (word(ip - 2) !== 0x86dd) {
    return false;
  }
  return protocol === 17 && udp + 16 <= frame.length && word(udp + 2) === port && (frame[udp + 8]! & 8) !== 0;
}
