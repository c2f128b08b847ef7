/** Sends one response: bytes that exist already, then a part of the pattern or of a file. */
import type { Connection } from '../../tcpip/index.js';
import type { FileBody } from './files/file-body.js';
import { PATTERN, PATTERN_BYTES } from './pattern-body.js';

const NOTHING = new Uint8Array(0);

export class Sender {
  /** Whether a response is under way, or is waited for. */
  isBusy = false;
  private head: Uint8Array = NOTHING;
  private headAt = 0;
  private patternAt = 0;
  private patternLeft = 0;
  private file: FileBody | null = null;
  private isHeld = false;
  private taken = 0;

  /** Bytes that the connection took, of all responses: shows whether the peer reads. */
  get progress(): number {
    return this.taken + (this.file?.sent ?? 0);
  }

  /** Holds further requests back until {@link begin}: the response is not known yet. */
  hold(): void {
    this.isBusy = true;
    this.isHeld = true;
  }

  /** Begins a response with its first bytes. */
  begin(head: Uint8Array): void {
    this.isBusy = true;
    this.isHeld = false;
    this.head = head;
    this.headAt = 0;
  }

  /** The response goes on with the bytes of the pattern from `start` up to `end`. */
  addPattern(start: number, end: number): void {
    this.patternAt = start % PATTERN_BYTES;
    this.patternLeft = end - start;
  }

  addFile(file: FileBody): void {
    this.file = file;
  }

  /** Writes what the connection takes. Returns true when it has taken everything. */
  pump(c: Connection): boolean {
    if (this.isHeld || !this.pumpHead(c) || !this.pumpPattern(c)) return false;
    if (this.file !== null) {
      if (!this.file.pump(c)) return false;
      this.taken += this.file.sent;
      this.file.close();
      this.file = null;
    }
    this.isBusy = false;
    this.head = NOTHING;
    return true;
  }

  /** Gives up what is under way. */
  reset(): void {
    this.file?.close();
    this.file = null;
    this.head = NOTHING;
    this.headAt = 0;
    this.patternLeft = 0;
    this.taken = 0;
    this.isBusy = false;
    this.isHeld = false;
  }

  private pumpHead(c: Connection): boolean {
    const length = this.head.length - this.headAt;
    if (length === 0) return true;
    const took = c.write(this.head, this.headAt, length);
    this.headAt += took;
    this.taken += took;
    return took === length;
  }

  private pumpPattern(c: Connection): boolean {
    while (this.patternLeft > 0) {
      const length = Math.min(this.patternLeft, PATTERN.length - this.patternAt);
      const took = c.write(PATTERN, this.patternAt, length);
      this.patternAt = (this.patternAt + took) % PATTERN_BYTES;
      this.patternLeft -= took;
      this.taken += took;
      if (took < length) return false;
    }
    return true;
  }
}
