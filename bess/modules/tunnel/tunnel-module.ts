/** The base of the modules that put headers on packets, or take them off: what they drop, and why. */
import type { PacketBurst } from '../../../drivers/virtio/device/packet-burst.js';
import { Batch } from '../batch.js';
import { Module } from '../module.js';

/** The reasons, as counters and captures name them, and their numbers. */
export const Reason = {
  /** The packet ends before its headers do, or before they say. */
  truncated: 0,
  /** The outer IPv4 header is none. */
  badIp: 1,
  /** The outer packet is a fragment. */
  fragment: 2,
  /** The outer packet is not of UDP, or the UDP header has a wrong length. */
  badUdp: 3,
  /** The VXLAN header does not say that there is a VNI. */
  badFlags: 4,
  /** The inner frame is itself in a tunnel. */
  nested: 5,
  /** With the headers, the packet is longer than their lengths can say. */
  tooLong: 6,
  /** What the sender left to others does not fit the inner frame. */
  badOffload: 7,
} as const;
export type Reason = (typeof Reason)[keyof typeof Reason];
const NAMES = Object.keys(Reason);

export abstract class TunnelModule extends Module {
  override readonly dropReasons: readonly string[] = NAMES;
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

  /** Drops a packet of a batch. */
  protected drop(batch: Batch, packet: number, reason: Reason): void {
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
