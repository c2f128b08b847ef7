/** Datagrams that the stack had no buffer or place for: they are sent a little later, in their order. */
import type { AsyncResource } from 'node:async_hooks';
import type { SendRequest } from './node-internals.js';

/** A datagram that waits. */
export interface WaitingDatagram {
  readonly bytes: Uint8Array;
  readonly address: number;
  readonly port: number;
  readonly request: SendRequest;
  /** The asynchronous context of the call; null when nobody waits for the end. */
  readonly context: AsyncResource | null;
}

/** More wait in the program than any device has places for. */
const MAX_BYTES = 16 * 2 ** 20;
const RETRY_MS = 1;

export class SendQueue {
  private readonly waiting: WaitingDatagram[] = [];
  private waitingBytes = 0;
  private timer: NodeJS.Timeout | null = null;

  /**
   * @param send sends a datagram: returns 0; a negative errno; or null when there is still no room
   * @param finish tells what became of it
   */
  constructor(
    private readonly send: (datagram: WaitingDatagram) => number | null,
    private readonly finish: (datagram: WaitingDatagram, status: number) => void,
  ) {}

  /** How many datagrams wait. */
  get count(): number {
    return this.waiting.length;
  }

  /** How many bytes they have. */
  get bytes(): number {
    return this.waitingBytes;
  }

  /** Returns whether the queue has taken the datagram. */
  push(datagram: WaitingDatagram): boolean {
    if (this.waitingBytes + datagram.bytes.length > MAX_BYTES) return false;
    this.waiting.push(datagram);
    this.waitingBytes += datagram.bytes.length;
    this.timer ??= setTimeout(this.drain, RETRY_MS);
    return true;
  }

  /** Gives up all that waits, and tells it in the next turn, as libuv does for a handle that is closed. */
  cancel(status: number): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.waitingBytes = 0;
    const given = this.waiting.splice(0);
    if (given.length === 0) return;
    setImmediate(() => {
      for (const datagram of given) this.finish(datagram, status);
    });
  }

  private readonly drain = (): void => {
    this.timer = null;
    let done = 0;
    const { waiting } = this;
    const sent: [WaitingDatagram, number][] = [];
    for (; done < waiting.length; done++) {
      const status = this.send(waiting[done]);
      if (status === null) break;
      sent.push([waiting[done], status]);
      this.waitingBytes -= waiting[done].bytes.length;
    }
    waiting.splice(0, done);
    if (waiting.length > 0) this.timer = setTimeout(this.drain, RETRY_MS);
    for (const [datagram, status] of sent) this.finish(datagram, status);
  };
}
