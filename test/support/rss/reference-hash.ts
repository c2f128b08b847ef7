/** For the tests of soft RSS: frames that carry a flow, and the Toeplitz hash as the specification writes it. */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import type { FlowTuple } from '../../../src/rss/rss.js';

export const MICROSOFT = Buffer.from(
  '6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa',
  'hex',
);
export const TCP = 6;
export const UDP = 17;
export const ICMP = 1;

const word = (value: number): number[] => [(value >>> 8) & 0xff, value & 0xff];
const bytesOf = (address: number | Uint8Array): number[] =>
  typeof address === 'number' ? [...word(address >>> 16), ...word(address)] : [...address];

/** "RSS Hashing Functions": for each bit of the input, if set, XOR the key's leftmost 32; shift the key by one. */
export function referenceToeplitz(key: Uint8Array, input: readonly number[]): number {
  let window = key.reduce((bits, byte) => (bits << 8n) | BigInt(byte), 0n);
  let hash = 0n;
  for (const byte of input) {
    for (let bit = 7; bit >= 0; bit--) {
      if ((byte >>> bit) & 1) hash ^= (window >> 288n) & 0xffffffffn;
      window = (window << 1n) & ((1n << 320n) - 1n);
    }
  }
  return Number(BigInt.asIntN(32, hash));
}

/** The input of the hash: addresses, and ports where the protocol has them. */
export function inputOf({ protocol, source, destination, sourcePort = 0, destinationPort = 0 }: FlowTuple): number[] {
  const addresses = [...bytesOf(source), ...bytesOf(destination)];
  return protocol === TCP || protocol === UDP
    ? [...addresses, ...word(sourcePort), ...word(destinationPort)]
    : addresses;
}

export function reversed(tuple: FlowTuple): FlowTuple {
  const { protocol, source, destination, sourcePort, destinationPort } = tuple;
  return {
    protocol,
    source: destination,
    destination: source,
    sourcePort: destinationPort,
    destinationPort: sourcePort,
  };
}

export interface PacketFields {
  /** IPv4: flags and fragment offset. */
  readonly fragment?: number;
  /** IPv4: options, a multiple of four bytes. */
  readonly options?: readonly number[];
  /** IPv4: replaces the ports and the four bytes behind them. */
  readonly payload?: readonly number[];
  /** IPv6: number and bytes of extension headers, in their order. The first two bytes are filled in. */
  readonly extensions?: readonly (readonly [type: number, bytes: number])[];
  /** Replaces the right IPv4 total length or IPv6 payload length. */
  readonly lengthField?: number;
  /** IPv4: replaces the right header length. */
  readonly headerWords?: number;
}

/** An IP packet of the flow, with eight bytes from the ports on. */
export function packetOf(tuple: FlowTuple, fields: PacketFields = {}): number[] {
  const { protocol, source, destination, sourcePort = 0x1111, destinationPort = 0x2222 } = tuple;
  const { fragment = 0, options = [], extensions = [] } = fields;
  const transport = fields.payload ?? [...word(sourcePort), ...word(destinationPort), 1, 2, 3, 4];
  const addresses = [...bytesOf(source), ...bytesOf(destination)];
  if (typeof source === 'number') {
    const length = 20 + options.length + transport.length;
    const words = fields.headerWords ?? 5 + options.length / 4;
    const fixed = [0x40 | words, 0, ...word(fields.lengthField ?? length), 0, 7, ...word(fragment), 64, protocol, 0, 0];
    return [...fixed, ...addresses, ...options, ...transport];
  }
  const types = [...extensions.map(([type]) => type), protocol];
  const headers = extensions.flatMap(([, bytes], i) => [
    types[i + 1]!,
    bytes / 8 - 1,
    ...new Array<number>(bytes - 2).fill(0xee),
  ]);
  const length = fields.lengthField ?? headers.length + transport.length;
  return [0x60, 0, 0, 0, ...word(length), types[0]!, 64, ...addresses, ...headers, ...transport];
}

/** An ICMP error from `router` to the sender of `quoted`, which is a packet or its beginning. */
export function icmpErrorOf(
  quoted: readonly number[],
  type: number,
  router: number,
  fields: PacketFields = {},
): number[] {
  const destination = Buffer.from(quoted).readUInt32BE(12);
  const payload = [type, 1, 0, 0, 0, 0, 0, 0, ...quoted];
  return packetOf({ protocol: ICMP, source: router, destination }, { ...fields, payload });
}

/** A frame around a packet, with VLAN tags of these types. */
export function frameOf(packet: readonly number[], tags: readonly number[] = []): number[] {
  const type = packet[0]! >>> 4 === 6 ? 0x86dd : 0x0800;
  const macs = [0x52, 0x54, 0, 0, 0, 1, 0x52, 0x54, 0, 0, 0, 2];
  return [...macs, ...tags.flatMap((tag) => [...word(tag), 0, 7]), ...word(type), ...packet];
}

/** Memory with `bytes` at `at`; all other bytes are `poison`. */
export function memoryWith(bytes: readonly number[], at: number, poison = 0): MemoryViews {
  const u8 = new Uint8Array(new SharedArrayBuffer(512)).fill(poison);
  u8.set(bytes, at);
  return { u8, u16: new Uint16Array(u8.buffer), u32: new Uint32Array(u8.buffer) };
}
