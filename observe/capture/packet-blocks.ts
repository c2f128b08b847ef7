/**
 * The packets of a pcapng file (draft-ietf-opsawg-pcapng, 4.3, Enhanced Packet Block), many in one piece of memory: a capture
 * has as many as there are packets.
 */
import { type CaptureTime, padded, writeTime } from './pcapng.js';
import { DIRECTION_OUT } from './sink.js';

const PACKET = 6;
const FIXED_BYTES = 28;
const OPTION_COMMENT = 1;
const OPTION_FLAGS = 2;
/** Header and value of the option epb_flags, and the end of the options. */
const FLAGS_BYTES = 8;
const END_BYTES = 4;
/** The direction in epb_flags. */
const FLAG_IN = 1;
const FLAG_OUT = 2;
const TRAILER_BYTES = 4;
/** A piece gets no more packets when it has so many bytes. */
const FULL_BYTES = 1 << 18;
const MAX_PACKET_BYTES = 1 << 17;

export interface CapturedPacket {
  /** Number of the interface, in the order in which they are in the file. */
  readonly interface: number;
  readonly time: CaptureTime;
  /** DIRECTION_IN or DIRECTION_OUT. */
  readonly direction: number;
  /** The bytes that were kept are `kept` bytes from `at` on in `u8`. At most 65,600. */
  readonly u8: Uint8Array;
  readonly at: number;
  readonly kept: number;
  /** Length of the packet. */
  readonly length: number;
  /** Text in UTF-8, such as why the packet was dropped: at most 4096 bytes. Empty: none. */
  readonly comment: Buffer;
}

export class PacketBlocks {
  private piece = Buffer.alloc(FULL_BYTES + MAX_PACKET_BYTES);
  private used = 0;

  /** Whether there is room for no further packet: {@link take}. */
  get isFull(): boolean {
    return this.used >= FULL_BYTES;
  }

  get isEmpty(): boolean {
    return this.used === 0;
  }

  /** Appends a packet. */
  add(packet: CapturedPacket): void {
    const { piece } = this;
    const { u8, at, kept, comment } = packet;
    const begin = this.used;
    piece.writeUInt32LE(PACKET, begin);
    piece.writeUInt32LE(packet.interface, begin + 8);
    writeTime(packet.time, piece, begin + 12);
    piece.writeUInt32LE(kept, begin + 20);
    piece.writeUInt32LE(packet.length, begin + 24);
    let end = begin + FIXED_BYTES;
    piece.set(u8.subarray(at, at + kept), end);
    end = this.pad(end, kept);
    if (comment.length > 0) {
      piece.writeUInt16LE(OPTION_COMMENT, end);
      piece.writeUInt16LE(comment.length, end + 2);
      comment.copy(piece, end + 4);
      end = this.pad(end + 4, comment.length);
    }
    piece.writeUInt16LE(OPTION_FLAGS, end);
    piece.writeUInt16LE(4, end + 2);
    piece.writeUInt32LE((packet.direction & DIRECTION_OUT) !== 0 ? FLAG_OUT : FLAG_IN, end + 4);
    end += FLAGS_BYTES;
    piece.writeUInt32LE(0, end);
    end += END_BYTES;
    const length = end + TRAILER_BYTES - begin;
    piece.writeUInt32LE(length, end);
    piece.writeUInt32LE(length, begin + 4);
    this.used = begin + length;
  }

  /** Returns the packets until now, and begins anew. */
  take(): Buffer {
    const taken = this.piece.subarray(0, this.used);
    this.piece = Buffer.alloc(FULL_BYTES + MAX_PACKET_BYTES);
    this.used = 0;
    return taken;
  }

  /** Zeros up to a multiple of four. Returns where the next field begins. */
  private pad(from: number, bytes: number): number {
    const end = from + padded(bytes);
    this.piece.fill(0, from + bytes, end);
    return end;
  }
}
