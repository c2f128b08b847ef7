/** The application of the tests of RFCs: notes what it sees in the sequence numbers of the peer. */
import type { Connection, TcpHandlers } from '../../../../src/tcpip/tcp/state/api.js';
import { matchPatternAt, writePatternAt } from '../pattern.js';

export class RecordingApp implements TcpHandlers {
  /** `open`, `data 1..10`, `end`, `drain`, `close`, `close ECONNRESET`. */
  readonly events: string[] = [];
  /** All bytes of the connection that was opened last. */
  bytes: number[] = [];
  /** Called with the length of data, after they were noted. */
  onData: ((length: number) => void) | null = null;
  private current: Connection | null = null;
  private written = 0;

  get connection(): Connection {
    if (this.current === null) throw new Error('there is no connection');
    return this.current;
  }

  get state(): string {
    return this.current?.state ?? 'CLOSED';
  }

  /** The application has called `connect`. */
  begin(connection: Connection): void {
    this.current = connection;
    this.written = 0;
    this.bytes = [];
  }

  open(connection: Connection): void {
    if (connection !== this.current) this.begin(connection);
    this.events.push('open');
  }

  data(_connection: Connection, bytes: Uint8Array, offset: number, length: number): void {
    const first = this.bytes.length;
    const right = matchPatternAt(bytes, offset, length, first);
    for (let i = 0; i < length; i++) this.bytes.push(bytes[offset + i]!);
    const wrong = right < length ? ` wrong from ${first + right + 1}` : '';
    this.events.push(`data ${first + 1}..${first + length}${wrong}`);
    this.onData?.(length);
  }

  drain(): void {
    this.events.push('drain');
  }

  end(): void {
    this.events.push('end');
  }

  close(connection: Connection, error: Error | null): void {
    this.events.push(error === null ? 'close' : `close ${(error as { code?: string }).code}`);
    if (connection === this.current) this.current = null;
  }

  /** Writes the next bytes of the pattern. Returns how many were taken. */
  write(length: number): number {
    const bytes = new Uint8Array(length);
    writePatternAt(bytes, 0, length, this.written);
    const taken = this.connection.write(bytes, 0, length);
    this.written += taken;
    return taken;
  }
}
