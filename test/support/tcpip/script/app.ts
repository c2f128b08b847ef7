/** The application of a script: notes what it sees, and writes bytes of the pattern. */
import type { Connection, TcpHandlers } from '../../../../src/tcpip/tcp/state/api.js';
import { matchPatternAt, writePatternAt } from '../pattern.js';

export class ScriptedApp implements TcpHandlers {
  private current: Connection | null = null;
  private events: string[] = [];
  private written = 0;
  private received = 0;
  /** Bytes since the last other event. */
  private fresh = 0;

  /**
   * @param also handlers that are called after the event was noted
   * @param tell gets each event as it comes
   */
  constructor(
    private readonly also: TcpHandlers,
    private readonly tell: (event: string) => void,
  ) {}

  /** The connection that was opened last. */
  get connection(): Connection {
    if (this.current === null) throw new Error('the script has no connection');
    return this.current;
  }

  /** Bytes that have come, all right. */
  get bytes(): number {
    return this.received;
  }

  /** Takes a connection that was begun: what was written and received counts from 0. */
  adopt(connection: Connection): void {
    this.current = connection;
    this.written = 0;
    this.received = 0;
  }

  open(connection: Connection): void {
    if (this.current !== connection) this.adopt(connection);
    this.note('open');
    this.also.open?.(connection);
  }

  data(connection: Connection, bytes: Uint8Array, offset: number, length: number): void {
    const right = matchPatternAt(bytes, offset, length, this.received);
    if (right < length) this.note(`wrong byte ${this.received + right}`);
    this.received += length;
    this.fresh += length;
    this.tell(`data ${length}`);
    this.also.data?.(connection, bytes, offset, length);
  }

  drain(connection: Connection): void {
    this.note('drain');
    this.also.drain?.(connection);
  }

  end(connection: Connection): void {
    this.note('end');
    this.also.end?.(connection);
  }

  close(connection: Connection, error: Error | null): void {
    const { code = 'an error without a code' } = (error ?? {}) as { code?: string };
    this.note(error === null ? 'close' : `close ${code}`);
    this.current = null;
    this.also.close?.(connection, error);
  }

  /** Writes the next bytes of the pattern. Returns how many were taken. */
  write(length: number): number {
    const bytes = new Uint8Array(length);
    writePatternAt(bytes, 0, length, this.written);
    const taken = this.connection.write(bytes, 0, length);
    this.written += taken;
    return taken;
  }

  /** Returns the events since the last call; the data between two others are one event. */
  takeEvents(): string[] {
    this.endData();
    const { events } = this;
    this.events = [];
    return events;
  }

  private note(event: string): void {
    this.endData();
    this.events.push(event);
    this.tell(event);
  }

  private endData(): void {
    if (this.fresh > 0) this.events.push(`data ${this.fresh}`);
    this.fresh = 0;
  }
}
