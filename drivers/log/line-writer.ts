/**
 * Writes lines to a stream that may not be read. Node keeps in memory, without a bound, what a pipe or socket does not
 * take (pipes are documented as synchronous, but libuv makes them non-blocking). Here a reader that stalls costs lines
 * instead.
 */
import { oneLine, ownLines } from './safe-text.js';

/** The parts of a stream that are used. `process.stdout` and `process.stderr` have them. */
export interface LineStream {
  /** Number of characters that the stream holds because its reader has not taken them. */
  readonly writableLength: number;
  /** Whether the event `drain` will come. */
  readonly writableNeedDrain: boolean;
  write(text: string): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

/** Largest number of characters that may wait for the reader: a few hundred lines. */
const MAX_WAITING = 1 << 16;

export class LineWriter {
  /** Makes the line that says how many lines are missing, of the text for people. */
  static dropped: (count: number, line: string) => string = (_, line) => line;
  private static readonly writers = new WeakMap<LineStream, LineWriter>();
  private missing = 0;

  private constructor(private readonly stream: LineStream) {}

  /** The writer for this stream. There is only one per stream, so that waiting text is counted once. */
  static of(stream: LineStream): LineWriter {
    let writer = LineWriter.writers.get(stream);
    if (writer === undefined) {
      writer = new LineWriter(stream);
      LineWriter.writers.set(stream, writer);
    }
    return writer;
  }

  /** Writes one line. Line feeds and escapes in the text are shown as such. */
  line(text: string): void {
    this.put(oneLine(text), 1);
  }

  /** Writes text of our own, which may have several lines: all of them or none. */
  text(text: string): void {
    this.put(ownLines(text), text.split('\n').length);
  }

  /** Writes a line that is safe as it is: JSON. */
  record(json: string): void {
    this.put(json, 1);
  }

  private put(text: string, lines: number): void {
    const { stream } = this;
    // A text longer than the bound is still written when nothing waits.
    if (this.missing > 0 || (stream.writableNeedDrain && stream.writableLength + text.length > MAX_WAITING)) {
      if (this.missing === 0) stream.once('drain', () => this.resume());
      this.missing += lines;
      return;
    }
    stream.write(`${text}\n`);
  }

  private resume(): void {
    const lines = this.missing;
    this.missing = 0;
    const line = `… ${lines} ${lines === 1 ? 'line' : 'lines'} dropped: nobody read them in time`;
    this.stream.write(`${LineWriter.dropped(lines, line)}\n`);
  }
}
