/** The listeners of a stack, by port. */
import type { TcpSettings } from './settings.js';
import type { TcpHandlers } from './state/api.js';
import type { Backlog } from './state/table.js';

/** A port that takes connections. */
export interface ListeningPort extends Backlog {
  readonly port: number;
  /** Most half-open connections; more get SYN cookies. */
  readonly backlog: number;
  readonly handlers: TcpHandlers;
  readonly settings: TcpSettings;
}

/** The dynamic ports (RFC 6335, 6), of which {@link Listeners.choosePort} chooses. */
const FIRST_PORT = 49_152;
const PORTS = 16_384;

export class Listeners {
  private readonly byPort = new Map<number, ListeningPort>();
  /** The next port to choose, from {@link FIRST_PORT}. */
  private next = 0;

  find(port: number): ListeningPort | undefined {
    return this.byPort.get(port);
  }

  add(listener: ListeningPort): void {
    this.byPort.set(listener.port, listener);
  }

  remove(listener: ListeningPort): void {
    if (this.byPort.get(listener.port) === listener) this.byPort.delete(listener.port);
  }

  /**
   * Chooses a port without a listener, one after the other: the stacks of all cores, which run the same program, must
   * choose the same. Returns 0 when there is none.
   */
  choosePort(): number {
    for (let tried = 0; tried < PORTS; tried++) {
      const port = FIRST_PORT + this.next;
      this.next = (this.next + 1) % PORTS;
      if (!this.byPort.has(port)) return port;
    }
    return 0;
  }

  get size(): number {
    return this.byPort.size;
  }
}
