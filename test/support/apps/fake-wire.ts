/**
 * TCP connections without a network: what one end writes comes to the other, in pieces of chosen sizes. Apps of the
 * stack run on it unchanged. Received bytes are overwritten after each call, because they are valid only during it.
 */
import type { Connection, ConnectionInfo, Listener, TcpHandlers } from '../../../src/tcpip/index.js';

export interface FakeWireOptions {
  /** Bytes that {@link Connection.write} takes before it is full. Default 65,536. */
  readonly sendBuffer?: number;
  /** Length of the next piece, at least 1. Default: everything that was written. */
  readonly piece?: (available: number) => number;
}

const MEMORY_BYTES = 1 << 18;
const MAX_STEPS = 10_000_000;
/** Received bytes lie in it during a call. All wires share it: tests make thousands of them. */
const memory = new Uint8Array(new SharedArrayBuffer(MEMORY_BYTES));

class End implements Connection {
  context: unknown = undefined;
  peer!: End;
  isPaused = false;
  hasEnded = false;
  isEndDelivered = false;
  isClosed = false;
  needsDrain = false;
  waiting: Uint8Array[] = [];
  buffered = 0;
  readonly unread = 0;
  pauses = 0;
  bytesRead = 0;
  bytesWritten = 0;

  constructor(
    readonly handlers: TcpHandlers,
    private readonly limit: number,
    readonly localPort: number,
    readonly remotePort: number,
  ) {}

  readonly remoteAddress = '10.0.0.2';
  readonly localAddress = '10.0.0.1';

  get state(): string {
    return this.isClosed ? 'CLOSED' : 'ESTABLISHED';
  }

  get writable(): number {
    return this.hasEnded || this.isClosed ? 0 : this.limit - this.buffered;
  }

  write(bytes: Uint8Array, offset = 0, length = bytes.length - offset): number {
    if (!(offset >= 0 && length >= 0 && offset + length <= bytes.length)) throw new Error('write: out of bounds');
    const taken = Math.min(length, this.writable);
    if (taken > 0) this.waiting.push(bytes.slice(offset, offset + taken));
    this.buffered += taken;
    this.bytesWritten += taken;
    if (taken < length && !this.hasEnded) this.needsDrain = true;
    return taken;
  }

  end(): void {
    this.hasEnded = true;
  }

  abort(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.waiting = [];
    this.handlers.close?.(this, null);
    const { peer } = this;
    if (peer.isClosed) return;
    peer.isClosed = true;
    peer.handlers.close?.(peer, Object.assign(new Error('ECONNRESET: the peer has reset it'), { code: 'ECONNRESET' }));
  }

  pause(): void {
    this.isPaused = true;
    this.pauses++;
  }

  resume(): void {
    this.isPaused = false;
  }

  setNoDelay(): void {}
  setKeepAlive(): void {}

  info(): ConnectionInfo {
    return { retransmitted: 0 } as ConnectionInfo;
  }

  /** Takes up to `length` of the bytes that wait. */
  take(length: number): Uint8Array {
    const all = this.waiting.length === 1 ? this.waiting[0]! : Buffer.concat(this.waiting);
    const taken = all.slice(0, length);
    this.waiting = taken.length < all.length ? [all.subarray(length)] : [];
    return Uint8Array.from(taken);
  }
}

export type FakeConnection = End;

export class FakeWire {
  readonly connections: End[] = [];
  private readonly listeners = new Map<number, TcpHandlers>();
  private readonly opening: End[] = [];
  private at = 0;

  constructor(private readonly options: FakeWireOptions = {}) {}

  readonly tcp = {
    listen: ({ port }: { port: number }, handlers: TcpHandlers): Listener => {
      this.listeners.set(port, handlers);
      return { port, close: () => this.listeners.delete(port) };
    },
    connect: ({ port }: { address: string; port: number }, handlers: TcpHandlers): End => {
      const { sendBuffer = 65_536 } = this.options;
      const ownPort = 40_000 + this.connections.length;
      const client = new End(handlers, sendBuffer, ownPort, port);
      const server = new End(this.listeners.get(port) ?? {}, sendBuffer, port, ownPort);
      client.peer = server;
      server.peer = client;
      this.opening.push(client);
      return client;
    },
  };

  /** Moves bytes until nothing moves. */
  run(): void {
    for (let steps = 0; this.step(); steps++) {
      if (steps > MAX_STEPS) throw new Error('the connections never become quiet');
    }
  }

  /** Runs, and lets Node's event loop go on, until the condition holds. */
  async runUntil(condition: () => boolean): Promise<void> {
    for (let turns = 0; ; turns++) {
      this.run();
      if (condition()) return;
      if (turns > 20_000) throw new Error('what was waited for does not come');
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  private step(): boolean {
    const client = this.opening.shift();
    if (client !== undefined) {
      this.open(client);
      return true;
    }
    let hasMoved = false;
    for (const end of [...this.connections]) hasMoved = this.move(end) || hasMoved;
    return hasMoved;
  }

  private open(client: End): void {
    if (client.isClosed) return;
    if (!this.listeners.has(client.remotePort)) {
      client.isClosed = true;
      client.handlers.close?.(client, Object.assign(new Error('ECONNREFUSED: refused'), { code: 'ECONNREFUSED' }));
      return;
    }
    this.connections.push(client, client.peer);
    client.peer.handlers.open?.(client.peer);
    client.handlers.open?.(client);
  }

  private move(from: End): boolean {
    const to = from.peer;
    if (from.isClosed || to.isClosed) {
      this.connections.splice(this.connections.indexOf(from), 1);
      return true;
    }
    if (to.isPaused) return false;
    if (from.waiting.length > 0) {
      this.deliver(from, to);
      return true;
    }
    if (!from.hasEnded || from.isEndDelivered) return false;
    from.isEndDelivered = true;
    to.handlers.end?.(to);
    if (to.isEndDelivered && !to.isClosed) {
      for (const end of [from, to]) {
        end.isClosed = true;
        end.handlers.close?.(end, null);
      }
    }
    return true;
  }

  private deliver(from: End, to: End): void {
    const { options } = this;
    const bytes = from.take(Math.min(options.piece?.(from.buffered) ?? from.buffered, memory.length >> 1));
    const { length } = bytes;
    // Not at the beginning of an array, as in the memory of a port.
    this.at = (this.at + 61) % (memory.length - length);
    memory.set(bytes, this.at);
    from.buffered -= length;
    to.bytesRead += length;
    const at = this.at;
    to.handlers.data?.(to, memory, at, length);
    memory.fill(0xee, at, at + length);
    if (from.needsDrain && !from.isClosed) {
      from.needsDrain = false;
      from.handlers.drain?.(from);
    }
  }
}

/** A peer that a test plays: it writes bytes, and keeps what it receives. */
export class PlainPeer {
  received = Buffer.alloc(0);
  hasEnded = false;
  isClosed = false;
  error: Error | null = null;
  readonly c: FakeConnection;

  constructor(wire: FakeWire, port: number) {
    this.c = wire.tcp.connect(
      { address: '10.0.0.2', port },
      {
        data: (_c, bytes, offset, length) => {
          this.received = Buffer.concat([this.received, bytes.subarray(offset, offset + length)]);
        },
        end: () => {
          this.hasEnded = true;
        },
        close: (_c, error) => {
          this.isClosed = true;
          this.error = error;
        },
      },
    );
    wire.run();
  }

  /** What was received, as text of one character per byte. */
  get text(): string {
    return this.received.toString('latin1');
  }

  write(text: string): void {
    const bytes = Buffer.from(text, 'latin1');
    if (this.c.write(bytes) !== bytes.length) throw new Error('the send buffer of the test is full');
  }
}
