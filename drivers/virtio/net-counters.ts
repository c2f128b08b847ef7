/** What a virtio network device counts, in shared memory: other threads may read it while the device runs. */
import { CounterBlock, type CounterShare } from '../../rings/counters.js';
import { NET_COUNTERS, type NetCounterName } from '../net-device.js';
import { RX_COUNTERS, TX_COUNTERS } from './driver/queue-counts.js';

export class NetCounters {
  deviceErrors = 0;
  reconnects = 0;
  private readonly block = CounterBlock.create(NET_COUNTERS);
  // Where the counts of the queues go in the block.
  private readonly rxAt = RX_COUNTERS.map((name) => this.block.index[name]);
  private readonly txAt = TX_COUNTERS.map((name) => this.block.index[name]);

  /**
   * @param rx counts of the receive queue, in the order of {@link RX_COUNTERS}
   * @param tx counts of the transmit queue, in the order of {@link TX_COUNTERS}
   * @param lent what borrowers of the transmit queue have counted, in the same order
   */
  constructor(
    private readonly rx: Float64Array,
    private readonly tx: Float64Array,
    private readonly lent: Float64Array = new Float64Array(TX_COUNTERS.length),
  ) {}

  /** For `CounterBlock.attach` on another thread, which sees the counters as of the last {@link publish}. */
  get share(): CounterShare<NetCounterName> {
    return this.block.share();
  }

  /** Brings {@link share} up to date: a few stores, which the device's thread makes now and then. */
  publish(): void {
    const { rx, tx, lent, rxAt, txAt } = this;
    const { values, index } = this.block;
    for (let i = 0; i < rxAt.length; i++) values[rxAt[i]] = rx[i];
    for (let i = 0; i < txAt.length; i++) values[txAt[i]] = tx[i] + lent[i];
    values[index.device_errors] = this.deviceErrors;
    values[index.reconnects] = this.reconnects;
  }

  /** The counters as of now, by name. */
  snapshot(): Record<NetCounterName, number> {
    this.publish();
    return this.block.snapshot();
  }
}
