/** Where the content of a download goes: a file, stdout, or nowhere; and its hash. */
import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';

/** Bytes that may wait for a slow disk or pipe before the server is paused. */
const MAX_WAITING_BYTES = 1 << 20;

export class Output {
  /** What went wrong: a full disk, a closed pipe. */
  error: Error | null = null;

  private readonly hash: Hash | null;
  private readonly stream: Writable | null;
  private waiting = 0;

  /**
   * @param file path, `-` for stdout, null for nowhere
   * @param algorithm of `node:crypto`, or null
   * @param drained called when waiting bytes were written after {@link Output.write} returned false, and on an error
   */
  constructor(
    private readonly file: string | null,
    algorithm: string | null,
    private readonly drained: () => void,
  ) {
    this.hash = algorithm === null ? null : createHash(algorithm);
    this.stream = file === null ? null : file === '-' ? process.stdout : createWriteStream(file);
    this.stream?.on('error', (error) => {
      this.error ??= error;
      this.drained();
    });
  }

  get isTerminal(): boolean {
    return this.file === '-' && process.stdout.isTTY === true;
  }

  /** Takes content. The bytes are copied. Returns false when so many wait that the server must pause. */
  write(bytes: Uint8Array, offset: number, length: number): boolean {
    const content = bytes.subarray(offset, offset + length);
    this.hash?.update(content);
    if (this.stream === null) return true;
    this.waiting += length;
    this.stream.write(Buffer.from(content), () => {
      const wasFull = this.waiting > MAX_WAITING_BYTES;
      this.waiting -= length;
      if (wasFull && this.waiting <= MAX_WAITING_BYTES) this.drained();
    });
    return this.waiting <= MAX_WAITING_BYTES;
  }

  /** Waits until everything is written. */
  async end(): Promise<void> {
    const { stream } = this;
    if (stream === null || this.error !== null) return;
    if (stream !== process.stdout) {
      stream.end();
      if (!stream.writableFinished) await once(stream, 'close').catch(() => {});
    } else if (stream.writableLength > 0) {
      await new Promise((resolve) => stream.write('', resolve));
    }
  }

  /** The hash in hexadecimal; null when none was asked for. Call it once, at the end. */
  digest(): string | null {
    return this.hash?.digest('hex') ?? null;
  }
}
