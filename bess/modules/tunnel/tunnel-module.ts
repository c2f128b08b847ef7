/** The base of the modules that put headers on packets, or take them off: what they drop, and why. */
import type { PacketBurst } from '../../../drivers/virtio/device/packet-burst.js';
import { TUNNEL_REASONS, type TunnelReason } from '../../../observe/page/browser/model/switch-drops.js';
import { Batch } from '../batch.js';
import { Module } from '../module.js';

const NAMES = Object.keys(TUNNEL_REASONS) as TunnelReason[];
/** The numbers of the reasons. */
export const Reason = Object.fromEntries(NAMES.map((name, i) => [name, i])) as Readonly<Record<TunnelReason, number>>;

export abstract class TunnelModule extends Module {
  override readonly dropReasons: readonly TunnelReason[] = NAMES;
  /** Packets that this module cut out of larger ones, without the first of each. */
  cut = 0;
  private readonly dropped = new Float64Array(new ArrayBuffer(8 * NAMES.length));
  private readonly one = new Batch();

  /** Packets that this module dropped, whatever the reason. */
  get refused(): number {
    return this.dropped.reduce((sum, count) => sum + count, 0);
  }

  override counters(): Record<string, number> {
    const all = [...NAMES.map((name, i) => [name, this.dropped[i]] as const), ['cut', this.cut] as const];
    return Object.fromEntries(all.filter(([, count]) => count > 0));
  }

  /** Drops a packet of a batch. @param reason one of {@link Reason} */
  protected drop(batch: Batch, packet: number, reason: number): void {
    this.dropped[reason]++;
    if (!this.capture.wantsDrops) return;
    this.capture.droppedBy(this, onlyPacket(this.one, batch.burst, packet, batch), reason);
  }
}

/** Makes `one` a batch of one packet of a burst. */
export function onlyPacket(one: Batch, burst: PacketBurst, packet: number, like: Batch): Batch {
  one.beginOver(burst, like);
  one.add(packet);
  return one;
}
