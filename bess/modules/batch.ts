/**
 * A batch: the packets of one burst that travel together through the modules, by index.
 *
 * The packets stay where the sender wrote them until an output module copies them into their destination; splitting and
 * replicating therefore moves indices only. Batches are made with the pipeline, never while packets flow.
 */
import { MAX_BURST, PacketBurst } from '../../drivers/virtio/device/packet-burst.js';

/** A burst that is yet to be filled; whoever fills it says in which memory the packets lie. */
export function emptyBurst(): PacketBurst {
  const nothing = new SharedArrayBuffer(0);
  return new PacketBurst({
    u8: new Uint8Array(nothing),
    u16: new Uint16Array(nothing),
    u32: new Uint32Array(nothing),
  });
}

/** What a batch refers to before its first use, so that the field always holds a burst (one shape for V8). */
const NO_BURST = emptyBurst();

export class Batch {
  burst: PacketBurst = NO_BURST;
  /** Which packets of the burst: the first {@link count} entries count. */
  readonly indices = new Uint8Array(MAX_BURST);
  count = 0;
  /** Bytes of these packets, as frames. */
  bytes = 0;
  /** True behind a Replicate: what is delivered then is one of several copies. */
  replicated = false;

  constructor() {
    for (let i = 0; i < MAX_BURST; i++) this.indices[i] = i;
  }

  /** The whole of a burst. Only for a batch whose indices nobody has written: they still count up from 0. */
  takeAll(burst: PacketBurst): void {
    const count = burst.count;
    let bytes = 0;
    for (let i = 0; i < count; i++) bytes += burst.length[i];
    this.burst = burst;
    this.count = count;
    this.bytes = bytes;
  }

  /** Begins an empty batch over the burst of another one. */
  beginLike(other: Batch): void {
    this.burst = other.burst;
    this.count = 0;
    this.bytes = 0;
    this.replicated = other.replicated;
  }

  /** Appends packet `index` of the burst. */
  add(index: number): void {
    this.indices[this.count++] = index;
    this.bytes += this.burst.length[index];
  }
}
