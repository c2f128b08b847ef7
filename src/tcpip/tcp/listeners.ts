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

export class Listeners {
  private readonly byPort = new Map<number, ListeningPort>();

  find(port: number): ListeningPort | undefined {
    return this.byPort.get(port);
  }

  add(listener: ListeningPort): void {
    this.byPort.set(listener.port, listener);
  }

  remove(listener: ListeningPort): void {
    if (this.byPort.get(listener.port) === listener) this.byPort.delete(listener.port);
  }

  get size(): number {
    return this.byPort.size;
  }
}
