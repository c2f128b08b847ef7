/** The HTTP server of one core: the handlers of its listener, and what its connections share. */
import type { Connection, TcpHandlers } from '../../tcpip/index.js';
import { Exchange } from './exchange.js';
import { FileTree } from './files/file-tree.js';
import { HttpShared } from './shared.js';

/** Objects of closed connections that are kept for new ones. */
const MAX_SPARE = 1024;

export class HttpServer implements TcpHandlers {
  private readonly shared: HttpShared;
  private readonly exchanges: Exchange[] = [];
  private readonly spare: Exchange[] = [];
  private seconds = 0;
  private accepted = 0;

  /** @param root real path of the folder whose files are served; null: none */
  constructor(root: string | null) {
    this.shared = new HttpShared(root === null ? null : new FileTree(root));
  }

  open(c: Connection): void {
    const exchange = this.spare.pop() ?? new Exchange(this.shared);
    exchange.index = this.exchanges.push(exchange) - 1;
    exchange.open(c, this.seconds);
    c.context = exchange;
    this.accepted++;
  }

  data(c: Connection, bytes: Uint8Array, offset: number, length: number): void {
    exchangeOf(c).receive(bytes, offset, length);
  }

  drain(c: Connection): void {
    exchangeOf(c).advance();
  }

  end(c: Connection): void {
    exchangeOf(c).peerEnded();
  }

  close(c: Connection): void {
    const exchange = c.context as Exchange | null;
    // A connection that failed before it was open has none.
    if (!(exchange instanceof Exchange)) return;
    c.context = null;
    exchange.closed();
    const last = this.exchanges.pop()!;
    if (last !== exchange) {
      this.exchanges[exchange.index] = last;
      last.index = exchange.index;
    }
    if (this.spare.length < MAX_SPARE) this.spare.push(exchange);
  }

  /** Ends connections whose peers are too slow. Call it every second. */
  tick(): void {
    this.seconds++;
    this.shared.refresh();
    // Backwards, because one that ends is replaced by the last one.
    for (let i = this.exchanges.length - 1; i >= 0; i--) this.exchanges[i]?.tick(this.seconds);
  }

  report(): Record<string, number> {
    const { requests, errors, timeouts, receivedBytes } = this.shared;
    return {
      http_connections: this.accepted,
      http_open: this.exchanges.length,
      http_requests: requests,
      http_errors: errors,
      http_timeouts: timeouts,
      http_received_bytes: receivedBytes,
    };
  }
}

function exchangeOf(c: Connection): Exchange {
  return c.context as Exchange;
}
