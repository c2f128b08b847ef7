/** The messages between the thread that drives a lent transmit queue and the test that started it. */
import type { TxLoan } from '../../../drivers/virtio/lending/tx-loan.js';

export interface TxWork {
  readonly loan: TxLoan;
  /** The buffers that the thread sends from. */
  readonly buffers: readonly number[];
  /** Number of its first frame. */
  readonly from: number;
  /** Never returns to its event loop while it sends. Otherwise it returns after each burst. */
  readonly spins: boolean;
  /** Int32: 1 tells it to stop. */
  readonly stop: SharedArrayBuffer;
}

export interface TxReport {
  /** Number of the first frame that was not taken. */
  readonly next: number;
  /** Buffers that it has, by whether the device may have them. */
  readonly free: number[];
  readonly inFlight: number;
  readonly states: string[];
}

/** Bytes of each frame. */
export const FRAME_BYTES = 64;
/** Place of the number: after the Ethernet header, in two halves, the low one first. */
export const NUMBER_OFFSET = 14;
