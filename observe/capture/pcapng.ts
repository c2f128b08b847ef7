/**
 * Writes the blocks of a pcapng file (draft-ietf-opsawg-pcapng): a section, its interfaces, packets with times in ns, and
 * the statistics of an interface at the end. Numbers are little-endian.
 */

const SECTION = 0x0a0d0d0a;
const INTERFACE = 1;
const STATISTICS = 5;
const PACKET = 6;
const BYTE_ORDER = 0x1a2b3c4d;
const LINKTYPE_ETHERNET = 1;

const OPTION_COMMENT = 1;
const SECTION_APPLICATION = 4;
const INTERFACE_NAME = 2;
const INTERFACE_DESCRIPTION = 3;
const INTERFACE_TIME_RESOLUTION = 9;
const INTERFACE_FILTER = 11;
const PACKET_FLAGS = 2;
const STATISTICS_RECEIVED = 4;
const STATISTICS_DROPPED = 5;
/** 10^-9 s. */
const NANOSECONDS = 9;
/** First byte of the option if_filter: the filter is text. */
const FILTER_AS_TEXT = 0;

export type PacketDirection = 'in' | 'out';
const DIRECTION_BITS = { in: 1, out: 2 } as const;

/** A time since 1970: whole seconds, and ns. In ns alone it would not fit into a number. */
export interface CaptureTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

export interface InterfaceBlock {
  readonly name: string;
  readonly description: string;
  /** The most bytes that are kept of a packet; 0: all. */
  readonly snaplen: number;
  /** The filter expression; may be empty. */
  readonly filter: string;
}

export interface PacketBlock {
  /** Number of the interface, in the order in which they were written. */
  readonly interface: number;
  readonly time: CaptureTime;
  readonly direction: PacketDirection;
  /** The bytes that were kept. */
  readonly bytes: Uint8Array;
  /** Length of the packet. */
  readonly length: number;
  /** Why the packet was dropped, or other text; empty: none. */
  readonly comment: string;
}

export interface StatisticsBlock {
  readonly interface: number;
  readonly time: CaptureTime;
  /** Packets that the interface has seen, and of these those that were lost because the reader was too slow. */
  readonly received: number;
  readonly lost: number;
}

const padded = (bytes: number): number => (bytes + 3) & ~3;
const text = (value: string): Buffer => Buffer.from(value, 'utf8');

function option(code: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(4 + padded(value.length));
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt16LE(value.length, 2);
  value.copy(bytes, 4);
  return bytes;
}

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

const uint64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};

/** @param options their codes and values; those of length 0 are left out */
function block(type: number, body: Buffer, options: readonly (readonly [number, Buffer])[]): Buffer {
  const some = options.filter(([, value]) => value.length > 0).map(([code, value]) => option(code, value));
  if (some.length > 0) some.push(Buffer.alloc(4));
  const length = some.reduce((sum, { length: bytes }) => sum + bytes, 12 + body.length);
  return Buffer.concat([uint32(type), uint32(length), body, ...some, uint32(length)], length);
}

/** The two words of a time: ns since 1970, the upper half first. */
function timeWords({ seconds, nanoseconds }: CaptureTime, into: Buffer, at: number): void {
  const whole = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
  into.writeUInt32LE(Number(whole >> 32n), at);
  into.writeUInt32LE(Number(whole & 0xffffffffn), at + 4);
}

/** The block that a file begins with. */
export function sectionBlock(application: string): Buffer {
  const body = Buffer.alloc(16, 0xff);
  body.writeUInt32LE(BYTE_ORDER, 0);
  body.writeUInt16LE(1, 4);
  body.writeUInt16LE(0, 6);
  // The length of the section is not known: -1.
  return block(SECTION, body, [[SECTION_APPLICATION, text(application)]]);
}

export function interfaceBlock({ name, description, snaplen, filter }: InterfaceBlock): Buffer {
  const body = Buffer.alloc(8);
  body.writeUInt16LE(LINKTYPE_ETHERNET, 0);
  body.writeUInt32LE(snaplen, 4);
  return block(INTERFACE, body, [
    [INTERFACE_NAME, text(name)],
    [INTERFACE_DESCRIPTION, text(description)],
    [INTERFACE_TIME_RESOLUTION, Buffer.of(NANOSECONDS)],
    [INTERFACE_FILTER, filter === '' ? Buffer.alloc(0) : Buffer.concat([Buffer.of(FILTER_AS_TEXT), text(filter)])],
  ]);
}

export function packetBlock({ interface: number, time, direction, bytes, length, comment }: PacketBlock): Buffer {
  const body = Buffer.alloc(20 + padded(bytes.length));
  body.writeUInt32LE(number, 0);
  timeWords(time, body, 4);
  body.writeUInt32LE(bytes.length, 12);
  body.writeUInt32LE(length, 16);
  body.set(bytes, 20);
  return block(PACKET, body, [
    [OPTION_COMMENT, text(comment)],
    [PACKET_FLAGS, uint32(DIRECTION_BITS[direction])],
  ]);
}

export function statisticsBlock({ interface: number, time, received, lost }: StatisticsBlock): Buffer {
  const body = Buffer.alloc(12);
  body.writeUInt32LE(number, 0);
  timeWords(time, body, 4);
  return block(STATISTICS, body, [
    [STATISTICS_RECEIVED, uint64(received)],
    [STATISTICS_DROPPED, uint64(lost)],
  ]);
}
