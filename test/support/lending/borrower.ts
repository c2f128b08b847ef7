/** The borrower of a fake device's transmit queue, on the thread of the test: it sees a change when it looks. */
import { BorrowedTx } from '../../../drivers/virtio/lending/borrowed-tx.js';
import type { TxLoan } from '../../../drivers/virtio/lending/tx-loan.js';
import { NO_BUFFER } from '../../../rings/buffer-pool.js';
import type { DriverUnderTest } from '../virtio/driver-under-test.js';
import { TX } from '../virtio/fake-transport.js';

export class Borrower {
  readonly tx: BorrowedTx;
  /** The states that it was told. */
  readonly states: string[] = [];
  private readonly handles = new Uint32Array(64);
  private readonly lengths = new Uint32Array(64);

  constructor(
    private readonly driver: DriverUnderTest,
    loan: TxLoan = driver.device.lendTx(),
  ) {
    this.tx = new BorrowedTx(loan);
    this.tx.onStateChange = (state) => this.states.push(state);
  }

  /**
   * Sends the frames in buffers of the device's pool. Buffers that were not taken go back there. Returns how many were
   * taken.
   */
  send(frames: readonly Uint8Array[]): number {
    const { device, inHand } = this.driver;
    let count = 0;
    for (const frame of frames) {
      const handle = this.driver.buffer(frame);
      if (handle === NO_BUFFER) break;
      this.handles[count] = handle;
      this.lengths[count++] = frame.length;
    }
    const taken = this.tx.txBurst(this.handles, this.lengths, count);
    for (let i = 0; i < count; i++) {
      inHand.delete(this.handles[i] as number);
      if (i >= taken) device.pool.put(this.handles[i] as number);
    }
    return taken;
  }

  /** Puts the buffers that were sent back into the device's pool; returns how many. */
  drain(): number {
    const { sent } = this.tx;
    const count = sent.available;
    for (let i = 0; i < count; i++) this.driver.device.pool.put(sent.get());
    return count;
  }

  /** Whether the device has heard the borrower's doorbell since the last call. */
  get rang(): boolean {
    const { notifyRegisters } = this.driver.transport;
    const heard = notifyRegisters[TX] === TX + 1;
    notifyRegisters[TX] = 0;
    return heard;
  }

  /** The place of every buffer. */
  account(): ReturnType<DriverUnderTest['account']> {
    return this.driver.account(this.driver.device.sent, this.tx.sent);
  }
}
