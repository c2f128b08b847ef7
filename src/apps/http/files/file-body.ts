/**
 * Sends a part of a file: reads it asynchronously into two buffers in turn, while the other one is sent. A slow reader
 * holds two buffers, and all of them together at most {@link MAX_BODIES} pairs; further files wait for a pair.
 */
import { close, read } from 'node:fs';
import type { Connection } from '../../../tcpip/index.js';

const BUFFER_BYTES = 256 * 1024;
/** Files that are sent at the same time, by one thread: 32 MiB of buffers. */
const MAX_BODIES = 64;

/** Pairs of buffers that are not in use, and the bodies that wait for one. */
const spare: Uint8Array[] = [];
let made = 0;
const waiting = new Set<FileBody>();

function takePair(): Uint8Array | null {
  const pair = spare.pop();
  if (pair !== undefined || made === MAX_BODIES) return pair ?? null;
  made++;
  return new Uint8Array(2 * BUFFER_BYTES);
}

function givePair(pair: Uint8Array): void {
  spare.push(pair);
  const [next] = waiting;
  if (next === undefined) return;
  waiting.delete(next);
  next.begin();
}

export class FileBody {
  /** Bytes that the connection took. */
  sent = 0;

  private pair: Uint8Array | null = null;
  /** Bytes of the two buffers that were read, and were taken by the connection. */
  private readonly filled = [0, 0];
  private taken = 0;
  /** The buffer that is being sent. */
  private current = 0;
  private isReading = false;
  private isClosed = false;

  /**
   * @param fd is closed when the body is done or given up
   * @param left bytes to read from `position` on
   * @param ready called when there is something to send; with an error when the file cannot be read, or has shrunk
   */
  constructor(
    private readonly fd: number,
    private position: number,
    private left: number,
    private readonly ready: (error: Error | null) => void,
  ) {
    this.begin();
  }

  /** Begins to read, as soon as there are buffers. */
  begin(): void {
    this.pair = takePair();
    if (this.pair === null) waiting.add(this);
    else this.fill();
  }

  /** Writes what was read. Returns true when the last byte was taken. */
  pump(c: Connection): boolean {
    const { pair, filled } = this;
    if (pair === null) return false;
    for (;;) {
      const length = filled[this.current] - this.taken;
      if (length === 0) break;
      const took = c.write(pair, this.current * BUFFER_BYTES + this.taken, length);
      this.taken += took;
      this.sent += took;
      if (took < length) break;
      filled[this.current] = 0;
      this.taken = 0;
      this.current ^= 1;
    }
    this.fill();
    return this.left === 0 && !this.isReading && filled[0] + filled[1] === 0;
  }

  /** Gives everything back. Call it once, when the body is done or nobody wants it any more. */
  close(): void {
    this.isClosed = true;
    waiting.delete(this);
    // A read that is under way writes to the buffer, and needs the file.
    if (!this.isReading) this.giveBack();
  }

  private giveBack(): void {
    close(this.fd, () => {});
    if (this.pair !== null) givePair(this.pair);
    this.pair = null;
  }

  /** Reads into an empty buffer: the current one, or the other one while the current one is sent. */
  private fill(): void {
    const { pair, filled } = this;
    if (this.isReading || this.left === 0 || pair === null) return;
    const target = filled[this.current] === 0 ? this.current : this.current ^ 1;
    if (filled[target] > 0) return;
    this.isReading = true;
    read(this.fd, pair, target * BUFFER_BYTES, Math.min(this.left, BUFFER_BYTES), this.position, (error, count) => {
      this.isReading = false;
      if (this.isClosed) {
        this.giveBack();
        return;
      }
      if (error === null && count > 0) {
        filled[target] = count;
        this.position += count;
        this.left -= count;
      }
      this.ready(error ?? (count === 0 ? new Error('the file has shrunk') : null));
    });
  }
}
