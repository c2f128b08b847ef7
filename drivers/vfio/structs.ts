/**
 * Structures that VFIO fills. An answer that may be longer than asked for is followed by a chain of capabilities. The
 * kernel is trusted, but a chain is followed only inside what the kernel wrote.
 */
import { ioctl } from '../libc/index.js';
import * as v from './constants.js';

/** Two 64-bit numbers of a capability: first and last address, or offset and size. Exact below 2^53. */
export type Range = readonly [number, number];

/** Longer than any answer of a kernel. */
const MAX_ANSWER_BYTES = 65536;

/**
 * Makes a zeroed structure with its `argsz` set. It is outside V8's heap and Node's pool, because the kernel writes
 * into it.
 */
export function structure(bytes: number): Buffer {
  const buffer = Buffer.from(new ArrayBuffer(bytes));
  buffer.writeUInt32LE(bytes, 0);
  return buffer;
}

/**
 * Asks for a structure that may have capabilities: once to learn its length (`argsz`), and if needed again for all of
 * it.
 * @param prepare writes what the kernel must know into the structure, such as an index
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

/** Offset of the capability `id` in a structure whose chain begins at `first`; -1 when there is none. */
export function findCapability(buffer: Buffer, first: number, id: number): number {
  let offset = first;
  // Each capability lies after the one before it, so the loop ends.
  while (offset !== 0 && offset + v.CAP_HEADER_BYTES <= buffer.length) {
    if (buffer.readUInt16LE(offset) === id) return offset;
    const next = buffer.readUInt32LE(offset + v.CAP_NEXT);
    if (next <= offset) return -1;
    offset = next;
  }
  return -1;
}

/** Returns the pairs of numbers in a capability of ranges. */
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

/** Reads a 64-bit number. A number above 2^53 (the end of an address space) becomes the nearest double. */
export function readNumber(buffer: Buffer, offset: number): number {
  return Number(buffer.readBigUInt64LE(offset));
}

export function writeNumber(buffer: Buffer, offset: number, value: number): void {
  buffer.writeBigUInt64LE(BigInt(value), offset);
}
