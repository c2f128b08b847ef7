/** Answers of a vhost-user backend, matched to the requests they belong to: in order, each within a time limit. */
import { FLAG_REPLY, ProtocolError, requestName } from './protocol.js';

/** A backend that takes longer than this to answer a message is not working. */
const REPLY_TIMEOUT_MS = 5000;

interface Waiter {
  request: number;
  timer: NodeJS.Timeout;
  resolve(payload: Buffer): void;
  reject(error: Error): void;
}

export class PendingReplies {
  private waiting: Waiter[] = [];

  /** @param name begins every error */
  constructor(private readonly name: string) {}

  /** The payload of the answer to `request`, which has just been sent. Rejects when it does not come within `timeoutMs`. */
  expect(request: number, timeoutMs = REPLY_TIMEOUT_MS): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.failAll(
          `the backend does not answer ${requestName(request)} within ${timeoutMs / 1000} s: it hangs, or serves another endpoint on this socket`,
        );
      }, timeoutMs);
      this.waiting.push({ request, timer, resolve, reject });
    });
  }

  /** Takes a message from the backend. Throws a {@link ProtocolError} when it is not the answer that is due. */
  settle(message: { request: number; flags: number; payload: Buffer }): void {
    const waiter = this.waiting.shift();
    if (waiter === undefined || waiter.request !== message.request || (message.flags & FLAG_REPLY) === 0) {
      if (waiter !== undefined) this.waiting.unshift(waiter);
      const due = waiter === undefined ? 'nothing' : `the answer to ${requestName(waiter.request)}`;
      throw new ProtocolError(`${requestName(message.request)} from the backend, where ${due} was due`);
    }
    clearTimeout(waiter.timer);
    // The channel reuses its memory.
    waiter.resolve(Buffer.from(message.payload));
  }

  failAll(reason: string): void {
    const { waiting } = this;
    this.waiting = [];
    for (const waiter of waiting) {
      clearTimeout(waiter.timer);
      waiter.reject(new Error(`${this.name}: ${reason}`));
    }
  }
}
