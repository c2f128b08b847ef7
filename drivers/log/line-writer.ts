/**
 * Lines to a stream of which nobody knows whether it is read. Node keeps in memory what a pipe or socket does not take, without
 * a bound (its pipes are documented as synchronous, but libuv makes them non-blocking); here a reader that stalls costs lines.
 */
import { oneLine, ownLines } from './text.js';

/** What is used of a stream; `process.stdout` and `process.stderr` are such. */
export interface LineStream {
  /** What the stream holds because its reader has not taken it. */
  readonly writableLength: number;
  /** Whether `drain` will come. */
  readonly writableNeedDrain: boolean;
  write(text: string): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

/** What may wait for the reader, in characters: some hundred lines. */
const MAX_WAITING = 1 << 16;

export class LineWriter {
  private static readonly writers = new WeakMap<LineStream, LineWriter>();
  private dropped = 0;

  private constructor(private readonly stream: LineStream) {}

  /** The writer of this stream: there is one, so that what waits is counted once. */
  static of(stream: LineStream): LineWriter {
    let writer = LineWriter.writers.get(stream);
    if (writer === undefined) {
      writer = new LineWriter(stream);
      LineWriter.writers.set(stream, writer);
    }
    return writer;
  }

  /** Writes one line, whatever is in the text: line feeds and escapes in it are shown as such. */
  line(text: string): void {
    this.put(oneLine(text), 1);
  }

  /** Writes text of our own that may have several lines; all of them, or none. */
  text(text: string): void {
    this.put(ownLines(text), text.split('\n').length);
  }

  private put(text: string, lines: number): void {
    const { stream } = this;
    // A text that is longer than the bound still goes out where nothing waits.
    if (this.dropped > 0 || (stream.writableNeedDrain && stream.writableLength + text.length > MAX_WAITING)) {
      if (this.dropped === 0) stream.once('drain', () => this.resume());
      this.dropped += lines;
      return;
    }
    stream.write(`${text}\n`);
  }

  private resume(): void {
    const lines = this.dropped;
    this.dropped = 0;
    this.stream.write(`… ${lines} ${lines === 1 ? 'line' : 'lines'} dropped: nobody read them in time\n`);
  }
}
