/** The packet table as a fake device writes and reads it. */
import { OFFLOAD_CSUM, OFFLOAD_ECN, OFFLOAD_TSO4, OFFLOAD_TSO6 } from '../../drivers/offloads.js';
import { NET_HEADER_BYTES } from '../../drivers/virtio/net-header.js';
import { FRAME_OFFSET } from '../../rings/buffer-pool.js';
import {
  CHAIN,
  CHECKSUM_PARTIAL,
  CSUM_OFFSET,
  CSUM_START,
  ENTRY_SHIFT,
  GSO,
  GSO_ECN,
  GSO_SIZE,
  GSO_TCP4,
  GSO_TCP6,
  LAST,
  LENGTH,
  NEXT,
  type PacketTable,
  START,
  TOTAL,
} from '../../rings/packet-table.js';
import type { MemoryViews, NetDevice } from '../index.js';
import type { SentPacket } from './fake-wire.js';

/** Where the device writes in a buffer that continues a packet: where the virtio header of a first one lies. */
export const PART_OFFSET = FRAME_OFFSET - NET_HEADER_BYTES;
/** What each request needs of the device. */
const NEEDED = [
  [CHECKSUM_PARTIAL, OFFLOAD_CSUM],
  [GSO_TCP4, OFFLOAD_TSO4],
  [GSO_TCP6, OFFLOAD_TSO6],
  [GSO_ECN, OFFLOAD_ECN],
] as const;

/** How a frame is received by a device with offloads. */
export interface InjectOptions {
  /** Bytes of the frame that the device reports. Default: all. */
  readonly length?: number;
  /** What is known of the packet: flags of the packet table, without CHAIN. Default 0. */
  readonly flags?: number;
  /** Bytes of TCP payload per segment, with a GSO flag. */
  readonly gsoSize?: number;
  /** With CHECKSUM_PARTIAL: where the sum begins in the frame, and where it goes, from there. */
  readonly csumStart?: number;
  readonly csumOffset?: number;
  /**
   * Bytes of the frame in each buffer; what is left fills further buffers. Default: each buffer is filled. The first one
   * must have all headers.
   */
  readonly parts?: readonly number[];
}

const sumOf = (sizes: readonly number[]): number => sizes.reduce((sum, bytes) => sum + bytes, 0);

/** Bytes of a frame in each buffer. @param room what the first buffer holds */
export function sizesOfParts(frameBytes: number, room: number, { parts = [] }: InjectOptions): number[] {
  const sizes: number[] = [];
  for (let left = frameBytes; left > 0 || sizes.length === 0; ) {
    const most = sizes.length === 0 ? room : room + NET_HEADER_BYTES;
    const bytes = Math.min(left, most, parts[sizes.length] ?? most);
    sizes.push(bytes);
    left -= bytes;
  }
  return sizes;
}

/** Writes the entry of a received packet. */
export function describeReceived(
  { words }: PacketTable,
  handles: readonly number[],
  sizes: readonly number[],
  { flags = 0, gsoSize = 0, csumStart = 0, csumOffset = 0 }: InjectOptions,
): void {
  const at = handles[0] << ENTRY_SHIFT;
  words[at] = flags | (handles.length > 1 ? CHAIN : 0);
  words[at + GSO_SIZE] = gsoSize;
  words[at + CSUM_START] = csumStart;
  words[at + CSUM_OFFSET] = csumOffset;
  words[at + TOTAL] = sumOf(sizes);
  for (const [i, handle] of handles.entries()) {
    const entry = handle << ENTRY_SHIFT;
    words[entry + NEXT] = handles[i + 1] ?? LAST;
    words[entry + START] = i === 0 ? FRAME_OFFSET : PART_OFFSET;
    words[entry + LENGTH] = sizes[i];
  }
}

const pieceAt = ({ u8 }: MemoryViews, from: number, length: number): Uint8Array => u8.slice(from, from + length);

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let done = 0;
  for (const piece of pieces) {
    bytes.set(piece, done);
    done += piece.length;
  }
  return bytes;
}

/** The device that sends. */
type Sender = Pick<NetDevice, 'memory' | 'pool' | 'table' | 'offloads'>;

/**
 * Copies a packet that is sent, in all of its buffers.
 * @throws RangeError when it asks for what the device does not do, which the layer should have done
 */
export function readSent({ memory, pool, table, offloads }: Sender, handle: number, length: number): SentPacket {
  const { words } = table;
  const at = handle << ENTRY_SHIFT;
  const flags = words[at];
  const lacks = NEEDED.some(([flag, bit]) => (flags & flag) !== 0 && (offloads & bit) === 0);
  if (lacks || (flags !== 0 && offloads === 0)) {
    throw new RangeError(`a packet asks for 0x${flags.toString(16)}, and the device does 0x${offloads.toString(16)}`);
  }
  const pieces: Uint8Array[] = [];
  if ((flags & CHAIN) === 0) pieces.push(pieceAt(memory, pool.offsetOf(handle) + FRAME_OFFSET, length));
  else {
    for (let part = handle; part !== LAST; part = words[(part << ENTRY_SHIFT) + NEXT]) {
      const entry = part << ENTRY_SHIFT;
      pieces.push(pieceAt(memory, pool.offsetOf(part) + words[entry + START], words[entry + LENGTH]));
    }
  }
  const parts = pieces.map((piece) => piece.length);
  const frame = pieces.length === 1 ? pieces[0] : joined(pieces, sumOf(parts));
  if ((flags & CHAIN) !== 0 && (frame.length !== words[at + TOTAL] || parts[0] !== length)) {
    throw new RangeError(`a chain of ${frame.length} bytes is said to have ${words[at + TOTAL]}`);
  }
  const isPartial = (flags & CHECKSUM_PARTIAL) !== 0;
  return {
    ...{ frame, parts, flags, gsoSize: (flags & GSO) !== 0 ? words[at + GSO_SIZE] : 0 },
    csumStart: isPartial ? words[at + CSUM_START] : 0,
    csumOffset: isPartial ? words[at + CSUM_OFFSET] : 0,
  };
}
