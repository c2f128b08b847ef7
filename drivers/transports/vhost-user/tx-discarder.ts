/**
 * "In the disabled state the back-end must process and discard any TX packets" (QEMU, docs/interop/vhost-user.rst).
 * This discards one burst per turn of the event loop, because a driver can offer chains of many descriptors faster than
 * they are discarded.
 */
import { MAX_BURST, PacketBurst } from '../../virtio/device/packet-burst.js';
import type { Vring } from './vring.js';

export class TxDiscarder {
  private readonly burst = new PacketBurst({
    u8: new Uint8Array(0),
    u16: new Uint16Array(0),
    u32: new Uint32Array(0),
  });
  /** Rings that were kicked and are not empty yet, in the order of their turns. */
  private readonly waiting = new Set<Vring>();
  private turn: NodeJS.Immediate | null = null;

  /** @param isDiscarded whether packets sent on the ring must be discarded; asked again at each turn */
  constructor(private readonly isDiscarded: (vring: Vring) => boolean) {}

  /** The ring was kicked. */
  kicked(vring: Vring): void {
    if (!this.isDiscarded(vring)) return;
    this.waiting.add(vring);
    this.goOn();
  }

  dispose(): void {
    this.waiting.clear();
    if (this.turn !== null) clearImmediate(this.turn);
    this.turn = null;
  }

  private goOn(): void {
    this.turn ??= setImmediate(() => {
      this.turn = null;
      for (const vring of this.waiting) {
        this.waiting.delete(vring);
        // The other rings have their turn before this one continues.
        if (this.isDiscarded(vring) && !this.discard(vring)) this.waiting.add(vring);
        break;
      }
      if (this.waiting.size > 0) this.goOn();
    });
  }

  /**
   * Discards a burst of up to {@link MAX_BURST} chains. True when there is no more, and a kick will announce the next
   * one.
   */
  private discard(vring: Vring): boolean {
    const queue = vring.txQueue;
    if (queue === null) return true;
    if (queue.take(this.burst, MAX_BURST) > 0) {
      queue.complete();
      return false;
    }
    return queue.enableKick();
  }
}
