/**
 * Structures that VFIO fills: those whose answer may be longer than asked for carry a chain of capabilities behind them.
 * The kernel is trusted, but a chain is followed only inside what it wrote.
 */
import { ioctl } from '../libc/index.js';
import * as v from './constants.js';

/** Two 64-bit numbers of a capability: first and last address, or offset and size. Exact below 2^53. */
export type Range = readonly [number, number];

/** More than any kernel answers. */
const MAX_ANSWER_BYTES = 65536;

/** A zeroed structure with its `argsz` set. Not from a pool and never on V8's heap: the kernel writes into it. */
export function structure(bytes: number): Buffer {
  const buffer = Buffer.from(new ArrayBuffer(bytes));
  buffer.writeUInt32LE(bytes, 0);
  return buffer;
}

/**
 * Asks for a structure that may have capabilities: once to learn its length (`argsz`), once more to have all of it.
 * @param prepare fills in what the kernel must know, such as an index
 */
export function askWithCapabilities(
  fd: number,
  request: number,
  bytes: number,
  name: string,
  target: string,
  prepare: (buffer: Buffer) => void = () => {},
): Buffer {
  const first = structure(bytes);
  prepare(first);
  ioctl(fd, request, first, name, target);
  const length = first.readUInt32LE(0);
  if (length <= bytes) return first;
  const whole = structure(Math.min(length, MAX_ANSWER_BYTES));
  prepare(whole);
  ioctl(fd, request, whole, name, target);
  return whole;
}

/** Offset of the capability `id` in a structure whose chain begins at `first`; -1 when it has none. */
export function findCapability(buffer: Buffer, first: number, id: number): number {
  let offset = first;
  // Each capability lies behind the one before it, so this ends.
  while (offset !== 0 && offset + v.CAP_HEADER_BYTES <= buffer.length) {
    if (buffer.readUInt16LE(offset) === id) return offset;
    const next = buffer.readUInt32LE(offset + v.CAP_NEXT);
    if (next <= offset) return -1;
    offset = next;
  }
  return -1;
}

/** The pairs of numbers in a capability of ranges. */
export function readRanges(buffer: Buffer, capability: number): Range[] {
  const start = capability + v.CAP_RANGES;
  if (start > buffer.length) return [];
  const room = Math.floor((buffer.length - start) / v.CAP_RANGE_BYTES);
  const count = Math.min(buffer.readUInt32LE(capability + v.CAP_RANGE_COUNT), room);
  return Array.from({ length: count }, (_, i) => {
    const at = start + i * v.CAP_RANGE_BYTES;
    return [readNumber(buffer, at), readNumber(buffer, at + 8)] as const;
  });
}

/** A 64-bit number; one above 2^53 (an address space's end) becomes the nearest double. */
export function readNumber(buffer: Buffer, offset: number): number {
  return Number(buffer.readBigUInt64LE(offset));
}

export function writeNumber(buffer: Buffer, offset: number, value: number): void {
  buffer.writeBigUInt64LE(BigInt(value), offset);
}
