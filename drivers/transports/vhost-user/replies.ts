/** Matches the answers of a vhost-user backend to the requests: in their order, each within a time limit. */
import { FLAG_REPLY, ProtocolError, requestName } from './protocol.js';

/** Time limit of an answer, in ms. */
const REPLY_TIMEOUT_MS = 5000;

interface Waiter {
  request: number;
  timer: NodeJS.Timeout;
  resolve(payload: Buffer): void;
  reject(error: Error): void;
}

export class PendingReplies {
  private waiting: Waiter[] = [];

  /** @param name the beginning of every error */
  constructor(private readonly name: string) {}

  /**
   * Resolves to the payload of the answer to `request`, which was just sent. Rejects when none comes within
   * `timeoutMs`.
   */
  expect(request: number, timeoutMs = REPLY_TIMEOUT_MS): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      // The socket keeps the event loop alive, if anything shall.
      const timer = setTimeout(() => {
        this.failAll(
          `the backend did not answer ${requestName(request)} within ${timeoutMs / 1000} s: it hangs, or serves another endpoint on this socket`,
        );
      }, timeoutMs).unref();
      this.waiting.push({ request, timer, resolve, reject });
    });
  }

  /** Takes a message from the backend. Throws a {@link ProtocolError} when it is not the answer that is due. */
  settle(message: { request: number; flags: number; payload: Buffer }): void {
    const waiter = this.waiting.shift();
    if (waiter === undefined || waiter.request !== message.request || (message.flags & FLAG_REPLY) === 0) {
      if (waiter !== undefined) this.waiting.unshift(waiter);
      const due = waiter === undefined ? 'nothing' : `the answer to ${requestName(waiter.request)}`;
      throw new ProtocolError(`${requestName(message.request)} came from the backend, but ${due} was due`);
    }
    clearTimeout(waiter.timer);
    // Copied, because the channel reuses its memory.
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
