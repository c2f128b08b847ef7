/** Reads and drops what comes (RFC 863), and ends when the peer ends. */
import type { Connection, TcpHandlers } from '../../tcpip/index.js';

export class DiscardHandlers implements TcpHandlers {
  private connections = 0;
  private bytes = 0;

  open(): void {
    this.connections++;
  }

  data(_c: Connection, _bytes: Uint8Array, _offset: number, length: number): void {
    this.bytes += length;
  }

  end(c: Connection): void {
    c.end();
  }

  report(): Record<string, number> {
    return { discard_connections: this.connections, discard_bytes: this.bytes };
  }
}
