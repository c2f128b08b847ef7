/**
 * How the two rings of a raw socket lie in memory (Linux, Documentation/networking/packet_mmap.rst; linux/if_packet.h,
 * TPACKET_V2). Each frame begins with a `struct tpacket2_hdr`, whose status says who owns the frame.
 */
import type { MemoryViews } from '../../memory/index.js';
import { HUGEPAGE_BYTES } from '../../memory/index.js';

// Offsets in struct tpacket2_hdr, in bytes.
export const FRAME_STATUS = 0;
/** Bytes of the packet; to send: with its virtio-net header. */
export const FRAME_LENGTH = 4;
/** Bytes of the packet that fitted into the frame. */
export const FRAME_SNAPLEN = 8;
/** Where the packet begins in the frame; to send: where its virtio-net header begins. 16 bits. */
export const FRAME_PLACE = 12;
/** The VLAN tag that the kernel took out of the packet: 16 bits each. */
export const FRAME_VLAN_TCI = 24;
export const FRAME_VLAN_TPID = 26;

/** Status of a received frame, as bits; 0 (TP_STATUS_KERNEL): the frame is the kernel's. */
export const STATUS_USER = 1;
export const STATUS_VLAN_VALID = 0x10;
export const STATUS_VLAN_TPID_VALID = 0x40;
/** Status of a frame to send; 0 (TP_STATUS_AVAILABLE): the frame is ours. */
export const STATUS_SEND_REQUEST = 1;
/** The kernel is sending it. */
export const STATUS_SENDING = 2;
/** The kernel has refused it. */
export const STATUS_WRONG_FORMAT = 4;

/** Where a packet to send may begin in its frame, in bytes: behind the header, with room for one of virtio-net. */
export const TX_PACKET_OFFSET = 48;

/**
 * Bytes of a frame: enough for the longest packet with the headers before it. It is no multiple of a page, so that the
 * beginnings of the frames share no set of the cache. A multiple of 16 (TPACKET_ALIGNMENT).
 */
export const FRAME_BYTES = 65_664;
/** Bytes that the kernel allocates at a time. */
const BLOCK_BYTES = HUGEPAGE_BYTES;
const FRAMES_PER_BLOCK = Math.floor(BLOCK_BYTES / FRAME_BYTES);

/** The size of a ring. */
export class RingSize {
  readonly frames: number;
  readonly bytes: number;

  constructor(readonly blocks: number) {
    this.frames = blocks * FRAMES_PER_BLOCK;
    this.bytes = blocks * BLOCK_BYTES;
  }

  /** `struct tpacket_req`: size and number of blocks, size and number of frames. */
  get request(): number[] {
    return [BLOCK_BYTES, this.blocks, FRAME_BYTES, this.frames];
  }

  /** The offset of each frame of a ring that begins at `base`. No frame crosses the end of a block. */
  offsets(base: number): Int32Array {
    const inBlock = (i: number): number => (i % FRAMES_PER_BLOCK) * FRAME_BYTES;
    return Int32Array.from(
      { length: this.frames },
      (_, i) => base + Math.floor(i / FRAMES_PER_BLOCK) * BLOCK_BYTES + inBlock(i),
    );
  }
}

/** Where a ring lies: its memory, and the offset of its first frame. */
export interface RingPlace {
  readonly memory: MemoryViews;
  readonly base: number;
  readonly size: RingSize;
}
