/**
 * The blocks of a pcapng file (draft-ietf-opsawg-pcapng) around its packets (`packet-blocks.ts`): a section, its interfaces, and
 * the statistics of an interface at the end. Times are in ns. Numbers are little-endian.
 */

const SECTION = 0x0a0d0d0a;
const INTERFACE = 1;
const STATISTICS = 5;
const BYTE_ORDER = 0x1a2b3c4d;
const LINKTYPE_ETHERNET = 1;

const SECTION_APPLICATION = 4;
const INTERFACE_NAME = 2;
const INTERFACE_DESCRIPTION = 3;
const INTERFACE_TIME_RESOLUTION = 9;
const INTERFACE_FILTER = 11;
const STATISTICS_RECEIVED = 4;
const STATISTICS_DROPPED = 5;
/** 10^-9 s. */
const NANOSECONDS = 9;
/** First byte of the option if_filter: the filter is text. */
const FILTER_AS_TEXT = 0;

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

export interface StatisticsBlock {
  readonly interface: number;
  readonly time: CaptureTime;
  /** Packets that the interface has seen. */
  readonly received: number;
  /** How many of these were lost because the reader was too slow; null: not known of this interface alone. */
  readonly lost: number | null;
}

export const padded = (bytes: number): number => (bytes + 3) & ~3;
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

/** The two words of a time: ns since 1970, the upper half first. Its product has too many bits for one number. */
export function writeTime({ seconds, nanoseconds }: CaptureTime, into: Buffer, at: number): void {
  const upper = Math.floor(seconds / 65_536) * 1e9;
  const lower = (seconds % 65_536) * 1e9 + nanoseconds + (upper % 65_536) * 65_536;
  into.writeUInt32LE(Math.floor(upper / 65_536) + Math.floor(lower / 2 ** 32), at);
  into.writeUInt32LE(lower % 2 ** 32, at + 4);
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

export function statisticsBlock({ interface: number, time, received, lost }: StatisticsBlock): Buffer {
  const body = Buffer.alloc(12);
  body.writeUInt32LE(number, 0);
  writeTime(time, body, 4);
  return block(STATISTICS, body, [
    [STATISTICS_RECEIVED, uint64(received)],
    [STATISTICS_DROPPED, lost === null ? Buffer.alloc(0) : uint64(lost)],
  ]);
}
