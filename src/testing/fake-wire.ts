/** What a device with offloads does to a packet that it sends: it computes the checksum, and cuts TCP segments. */
import { CHECKSUM_PARTIAL, GSO } from '../../rings/packet-table.js';
import { headerBytes, ipHeaderAt, writeSegmentHeaders } from '../link/offload/segment-headers.js';
import { checksumOf } from '../link/offload/soft-checksum.js';
import { writeU16 } from '../wire/bytes.js';
import { partialSum } from '../wire/checksum.js';
import { wireMemory } from '../wire/memory.js';

/** A packet as the layer gave it to the device, with what it asks for. */
export interface SentPacket {
  /** The frame as it was given, in one piece. */
  readonly frame: Uint8Array;
  /** Bytes of the frame in each buffer. */
  readonly parts: readonly number[];
  /** Flags of the packet table (`CHECKSUM_PARTIAL`, `GSO_TCP4`, …); 0: it asks for nothing. */
  readonly flags: number;
  /** Bytes of TCP payload per segment; 0 for a packet that is not to be cut. */
  readonly gsoSize: number;
  /** Where the sum begins, in bytes from the beginning of the frame; and where it goes, from there. */
  readonly csumStart: number;
  readonly csumOffset: number;
}

/**
 * Does what a packet asks for.
 * @returns the frames that go onto the wire
 * @throws RangeError when the headers do not fit to what is asked for, as a device would drop the packet
 */
export function finishFrames(packet: SentPacket): Uint8Array[] {
  const { frame, flags, gsoSize, csumStart } = packet;
  if ((flags & GSO) === 0) return [withChecksum(frame, packet)];
  const total = frame.length;
  const ip = ipHeaderAt(frame, 0, total);
  const headers = ip < 0 ? 0 : headerBytes(frame, 0, packet.parts[0], total, ip, csumStart, flags);
  if (headers === 0 || gsoSize === 0) throw new RangeError('the fake device cannot cut a packet with these headers');
  const frames: Uint8Array[] = [];
  for (let done = 0; headers + done < total; done += gsoSize) {
    const bytes = headers + Math.min(gsoSize, total - headers - done);
    const segment = new Uint8Array(bytes);
    segment.set(frame.subarray(0, headers));
    segment.set(frame.subarray(headers + done, done + bytes), headers);
    const isLast = done + bytes === total;
    writeSegmentHeaders(wireMemory(segment), 0, ip, csumStart, total, done, frames.length, bytes, isLast);
    frames.push(withChecksum(segment, packet));
  }
  return frames;
}

function withChecksum(frame: Uint8Array, { flags, csumStart, csumOffset }: SentPacket): Uint8Array {
  if ((flags & CHECKSUM_PARTIAL) === 0) return frame;
  const finished = frame.slice();
  const sum = partialSum(wireMemory(finished), csumStart, finished.length - csumStart);
  writeU16(finished, csumStart + csumOffset, checksumOf(sum));
  return finished;
}
