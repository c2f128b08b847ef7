/** The kernel's side of the two rings of a raw socket (packet_mmap), written field by field. */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import { RingSize } from '../../../drivers/transports/af-packet/layout.js';

const STATUS = 0;
const LENGTH = 4;
const SNAPLEN = 8;
const MAC = 12;
const VLAN_TCI = 24;
const VLAN_TPID = 26;
/** Where the kernel puts a received packet: TPACKET_ALIGN(52 + 16) + 10 - 14. */
const RECEIVED_AT = 76;
const HEADER_BYTES = 10;

/** Two blocks of frames: more than a burst. */
export const SMALL_RING = new RingSize(2);

export function ringMemory(): MemoryViews {
  // As the window of a switch.
  const buffer = new ArrayBuffer(SMALL_RING.bytes);
  return { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
}

export interface Received {
  readonly bytes: readonly number[];
  /** The virtio-net header: 10 bytes. Default: zeros. */
  readonly header?: readonly number[];
  /** Bytes of the packet, when the kernel has cut it. */
  readonly length?: number;
  readonly vlan?: { readonly tci: number; readonly tpid?: number };
}

/** Fills frames in order, as the kernel does, and stops at a frame that is not its own. */
export class FakeReceiver {
  private readonly offsets = SMALL_RING.offsets(0);
  private next = 0;
  /** Packets for which there was no frame. */
  dropped = 0;

  constructor(private readonly memory: MemoryViews) {}

  receive({ bytes, header = [], length = bytes.length, vlan }: Received): void {
    const { u8, u16, u32 } = this.memory;
    const frame = this.offsets[this.next]!;
    if (u32[frame / 4] !== 0) {
      this.dropped++;
      return;
    }
    u8.fill(0, frame + RECEIVED_AT - HEADER_BYTES, frame + RECEIVED_AT);
    u8.set(header, frame + RECEIVED_AT - HEADER_BYTES);
    u8.set(bytes, frame + RECEIVED_AT);
    u32[(frame + LENGTH) / 4] = length;
    u32[(frame + SNAPLEN) / 4] = bytes.length;
    u16[(frame + MAC) / 2] = RECEIVED_AT;
    u16[(frame + VLAN_TCI) / 2] = vlan?.tci ?? 0;
    u16[(frame + VLAN_TPID) / 2] = vlan?.tpid ?? 0;
    u32[(frame + STATUS) / 4] = 1 | (vlan === undefined ? 0 : 0x10) | (vlan?.tpid === undefined ? 0 : 0x40);
    this.next = (this.next + 1) % SMALL_RING.frames;
  }

  /** Frames that the receiver has not given back. */
  get held(): number {
    return [...this.offsets].filter((frame) => this.memory.u32[frame / 4] !== 0).length;
  }
}

/** What send(2) does with the next frame: sends it, keeps it under way, refuses it, or ends with an errno. */
export type Verdict = 'sent' | 'sending' | 'malformed' | number;

/** Takes frames in order, as tpacket_snd does. */
export class FakeSender {
  private readonly offsets = SMALL_RING.offsets(0);
  private next = 0;
  readonly packets: { readonly header: number[]; readonly bytes: number[] }[] = [];
  /** For the frames to come; after these, each is sent. */
  verdicts: Verdict[] = [];
  calls = 0;

  constructor(private readonly memory: MemoryViews) {}

  readonly send = (): number => {
    const { u8, u16, u32 } = this.memory;
    this.calls++;
    for (;;) {
      const frame = this.offsets[this.next]!;
      if (u32[frame / 4] !== 1) return 0;
      const verdict = this.verdicts.shift() ?? 'sent';
      if (typeof verdict === 'number') return verdict;
      if (verdict === 'malformed') {
        u32[frame / 4] = 4;
        return 22;
      }
      const at = frame + u16[(frame + MAC) / 2]!;
      const end = at + u32[(frame + LENGTH) / 4]!;
      this.packets.push({
        header: [...u8.slice(at, at + HEADER_BYTES)],
        bytes: [...u8.slice(at + HEADER_BYTES, end)],
      });
      u32[frame / 4] = verdict === 'sending' ? 2 : 0;
      this.next = (this.next + 1) % SMALL_RING.frames;
    }
  };

  /** All frames under way are sent. */
  finish(): void {
    for (const frame of this.offsets) if (this.memory.u32[frame / 4] === 2) this.memory.u32[frame / 4] = 0;
  }
}
