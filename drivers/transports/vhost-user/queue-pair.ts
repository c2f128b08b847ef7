/**
 * A queue pair of a vhost-user port as the switch uses it. It stays the same object while peers come and go. What the
 * switch wants (kicks or polling) is passed on to each ring that starts.
 */
import type { PacketEndpoint } from '../../packet-endpoint.js';
import type { PacketBurst } from '../../virtio/device/packet-burst.js';
import { makeQueueCounters, namedCounters, QueueCounter } from '../../virtio/device/queue-counters.js';
import type { DeviceRxQueue } from '../../virtio/device/rx-queue.js';
import type { DeviceTxQueue } from '../../virtio/device/tx-queue.js';

export class QueuePair implements PacketEndpoint {
  onKick: (() => void) | null = null;
  /** Counters of the driver's receive ring and of its transmit ring. Each ring that takes that place continues them. */
  readonly rxCounts = makeQueueCounters();
  readonly txCounts = makeQueueCounters();
  private tx: DeviceTxQueue | null = null;
  private rx: DeviceRxQueue | null = null;
  private polled = false;
  private kickWanted = false;

  constructor(readonly name: string) {}

  /** The driver's transmit queue; `null` unless it is both started and enabled. */
  get txQueue(): DeviceTxQueue | null {
    return this.tx;
  }

  get rxQueue(): DeviceRxQueue | null {
    return this.rx;
  }

  get pollOnly(): boolean {
    return this.polled;
  }

  take(burst: PacketBurst, max: number): number {
    if (this.tx !== null) return this.tx.take(burst, max);
    burst.clear();
    return 0;
  }

  complete(): void {
    if (this.tx !== null) this.tx.complete();
  }

  put(burst: PacketBurst, indices: Uint8Array, count: number): number {
    if (this.rx !== null) return this.rx.put(burst, indices, count);
    this.rxCounts[QueueCounter.noDriver] += count;
    return 0;
  }

  get refused(): number {
    return this.rx === null ? -1 : this.rx.refused;
  }

  enableKick(): boolean {
    this.kickWanted = true;
    if (this.tx === null || this.tx.enableKick()) return true;
    this.kickWanted = false;
    return false;
  }

  disableKick(): void {
    this.kickWanted = false;
    if (this.tx !== null) this.tx.disableKick();
  }

  /** Names are from the switch's view: `in_…` is what the peer sent, `out_…` is what it was given. */
  counters(): Record<string, number> {
    const counters: Record<string, number> = {};
    namedCounters(this.txCounts, 'in', counters);
    namedCounters(this.rxCounts, 'out', counters);
    return counters;
  }

  /**
   * Sets the queues that are started and enabled from now on; called by the session. Returns whether that is a change.
   */
  attach(tx: DeviceTxQueue | null, rx: DeviceRxQueue | null, pollOnly: boolean): boolean {
    const changed = tx !== this.tx || rx !== this.rx || pollOnly !== this.polled;
    const newTx = tx !== this.tx ? tx : null;
    if (rx !== this.rx && rx !== null) rx.disableKick();
    this.tx = tx;
    this.rx = rx;
    this.polled = pollOnly;
    if (newTx !== null) this.greet(newTx);
    return changed;
  }

  private greet(tx: DeviceTxQueue): void {
    if (!this.kickWanted) tx.disableKick();
    else if (!tx.enableKick()) this.onKick?.();
  }
}
