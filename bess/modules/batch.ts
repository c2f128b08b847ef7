/**
 * A batch: packets of one burst that go the same way through the modules. It holds the indices of these packets.
 *
 * The packets stay in the sender's memory until an output module copies them to their destination. Splitting and
 * replicating a batch therefore copies only indices. Batches are made with the modules, never while packets flow.
 */
import { MAX_BURST, PacketBurst } from '../../drivers/virtio/device/packet-burst.js';

/** Makes an empty burst. The code that fills it must set its `memory`. */
export function emptyBurst(): PacketBurst {
  const nothing = new SharedArrayBuffer(0);
  return new PacketBurst({
    u8: new Uint8Array(nothing),
    u16: new Uint16Array(nothing),
    u32: new Uint32Array(nothing),
  });
}

/** The burst of a new batch. A field that always holds a burst keeps one shape (docs/v8.md, "One shape"). */
const NO_BURST = emptyBurst();

export class Batch {
  burst: PacketBurst = NO_BURST;
  /** Numbers of the packets in the burst. The first {@link count} entries are valid. */
  readonly indices = new Uint8Array(MAX_BURST);
  count = 0;
  /** Sum of the lengths of the frames, in bytes. */
  bytes = 0;
  /** True behind a Replicate: each packet of this batch is one of several copies. */
  replicated = false;
  /**
   * Bytes in front of the first segment of each packet that the next module may write a header to. It may then change the
   * burst as well: nobody else needs it any more. 0: neither packets nor burst may be changed.
   */
  headroom = 0;

  constructor() {
    for (let i = 0; i < MAX_BURST; i++) this.indices[i] = i;
  }

  /**
   * Makes this a batch of all packets of a burst. Call it only on a batch whose indices were never written: they must
   * still count up from 0.
   */
  takeAll(burst: PacketBurst): void {
    const count = burst.count;
    let bytes = 0;
    for (let i = 0; i < count; i++) bytes += burst.length[i];
    this.burst = burst;
    this.count = count;
    this.bytes = bytes;
  }

  /** Makes this an empty batch over the burst of another batch. */
  beginLike(other: Batch): void {
    this.burst = other.burst;
    this.count = 0;
    this.bytes = 0;
    this.replicated = other.replicated;
    this.headroom = other.headroom;
  }

  /** Makes this an empty batch over a burst that a module fills with packets of another batch. */
  beginOver(burst: PacketBurst, other: Batch): void {
    this.burst = burst;
    this.count = 0;
    this.bytes = 0;
    this.replicated = other.replicated;
    this.headroom = 0;
  }

  /** Appends packet `index` of the burst. */
  add(index: number): void {
    this.indices[this.count++] = index;
    this.bytes += this.burst.length[index];
  }
}
