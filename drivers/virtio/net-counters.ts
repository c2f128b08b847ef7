/** What a virtio network device counts, in shared memory: other threads read it while the device runs. */
import { CounterBlock, type CounterShare } from '../../rings/counters.js';
import { NET_COUNTERS, type NetCounterName } from '../net-device.js';
import type { RxQueue, TxQueue } from './driver/queues.js';
import { TX_COUNTERS, TxCounter } from './lending/tx-loan.js';

export class NetCounters {
  deviceErrors = 0;
  reconnects = 0;
  private readonly block = CounterBlock.create(NET_COUNTERS);

  /** @param lent what borrowers of the transmit queue have counted, in the order of {@link TX_COUNTERS} */
  constructor(
    private rx: RxQueue,
    private tx: TxQueue,
    private readonly lent: Float64Array = new Float64Array(TX_COUNTERS.length),
  ) {}

  /** Counts for these queues from now on, which have taken over what the others had counted. */
  follow(rx: RxQueue, tx: TxQueue): void {
    this.rx = rx;
    this.tx = tx;
  }

  /** For `CounterBlock.attach` on another thread: the counters as of the last {@link publish}. */
  get share(): CounterShare<NetCounterName> {
    return this.block.share();
  }

  /** Brings {@link share} up to date: a few stores, for the device's thread to do now and then. */
  publish(): void {
    const { rx, tx, lent } = this;
    const { values, index } = this.block;
    values[index.rx_packets] = rx.packets;
    values[index.rx_bytes] = rx.bytes;
    values[index.rx_dropped_no_buffer] = rx.droppedNoBuffer;
    values[index.rx_dropped_bad_length] = rx.droppedBadLength;
    values[index.rx_dropped_too_long] = rx.droppedTooLong;
    values[index.rx_lost_on_reset] = rx.lostOnReset;
    values[index.rx_kicks] = rx.kicks;
    values[index.tx_packets] = tx.packets + lent[TxCounter.tx_packets];
    values[index.tx_bytes] = tx.bytes + lent[TxCounter.tx_bytes];
    values[index.tx_dropped_bad_length] = tx.droppedBadLength + lent[TxCounter.tx_dropped_bad_length];
    values[index.tx_lost_on_reset] = tx.lostOnReset;
    values[index.tx_kicks] = tx.kicks + lent[TxCounter.tx_kicks];
    values[index.device_errors] = this.deviceErrors;
    values[index.reconnects] = this.reconnects;
  }

  /** The counters as of now, by name. */
  snapshot(): Record<NetCounterName, number> {
    this.publish();
    return this.block.snapshot();
  }
}
