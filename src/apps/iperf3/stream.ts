/** A data connection of an iperf3 test: it sends blocks, or counts what it receives. */
import type { Connection } from '../../tcpip/index.js';
import type { StreamResult } from './protocol.js';

/** Bytes that the streams of a test may still send together. */
export interface Budget {
  left: number;
}

export class Stream {
  /** Number in the results. */
  id = 0;
  bytes = 0;
  isClosed = false;
  isSender = false;

  private block: Uint8Array = new Uint8Array(0);
  /** Bytes of the current block that were taken. */
  private at = 0;
  private budget: Budget = { left: 0 };
  /** Bytes per millisecond; 0: no limit. */
  private rate = 0;
  private startMs = 0;
  private omitted = 0;
  private isRunning = false;

  /** @param order in which the connection was opened: the client numbers its streams in the same order */
  constructor(
    readonly c: Connection,
    readonly order: number,
  ) {}

  /** Begins to send. `rate` is in bytes per millisecond; 0: no limit. */
  startSending(block: Uint8Array, budget: Budget, rate: number): void {
    this.isSender = true;
    this.isRunning = true;
    this.block = block;
    this.budget = budget;
    this.rate = rate;
    this.startMs = performance.now();
    this.pump();
  }

  received(length: number): void {
    if (this.isRunning && !this.isSender) this.bytes += length;
  }

  startReceiving(): void {
    this.isRunning = true;
  }

  /** Sends as much as the connection takes, and as the rate allows. */
  pump(): void {
    const { c, block, budget } = this;
    if (!this.isRunning || !this.isSender || this.isClosed) return;
    const allowed = this.rate === 0 ? budget.left : (performance.now() - this.startMs) * this.rate - this.bytes;
    let left = Math.min(Math.floor(allowed), budget.left);
    while (left > 0) {
      const length = Math.min(block.length - this.at, left);
      const taken = c.write(block, this.at, length);
      this.at = (this.at + taken) % block.length;
      this.bytes += taken;
      budget.left -= taken;
      left -= taken;
      if (taken < length) return;
    }
  }

  /** What was sent or received until now does not count. */
  omit(): void {
    this.omitted = this.bytes;
  }

  /** Ends the test: what still comes is dropped, and what was sent already arrives. */
  stop(): void {
    this.isRunning = false;
    if (!this.isClosed) this.c.end();
  }

  abort(): void {
    this.isRunning = false;
    if (!this.isClosed) this.c.abort();
  }

  result(): StreamResult {
    const retransmits = this.isSender && !this.isClosed ? this.c.info().retransmitted : -1;
    return { id: this.id, bytes: this.bytes - this.omitted, retransmits };
  }
}
