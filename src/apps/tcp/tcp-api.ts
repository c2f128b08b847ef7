/** The part of the stack's public interface that the apps use. */

export interface ConnectionInfo {
  readonly retransmitted: number;
}

export interface Connection {
  context: unknown;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localPort: number;
  readonly state: string;
  readonly writable: number;
  write(bytes: Uint8Array, offset?: number, length?: number): number;
  end(): void;
  abort(): void;
  pause(): void;
  resume(): void;
  info(): ConnectionInfo;
}

export interface TcpHandlers {
  open?(c: Connection): void;
  data?(c: Connection, bytes: Uint8Array, offset: number, length: number): void;
  drain?(c: Connection): void;
  end?(c: Connection): void;
  close?(c: Connection, error: Error | null): void;
}

export interface TcpOptions {
  readonly noDelay?: boolean;
  readonly sendBuffer?: number;
  readonly receiveBuffer?: number;
}

export interface Listener {
  close(): void;
}

export interface Tcp {
  listen(options: { port: number } & TcpOptions, handlers: TcpHandlers): Listener;
  connect(
    options: { address: string; port: number; localPort?: number } & TcpOptions,
    handlers: TcpHandlers,
  ): Connection;
}
