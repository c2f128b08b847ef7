/** A connection on which bytes flow in one direction, for as long as the load measures or checks. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection, TcpHandlers } from '../../../src/tcpip/index.js';
import { SERVER } from '../../common/sides.js';
import { RepeatedBlock } from './block.js';
import { type Connector, Iperf3Client } from './iperf3-client.js';
import {
  type Check,
  DISCARD_PORT,
  type Direction,
  type Protocol,
  SOURCE_PORT,
  VERDICT_BYTES,
  VERIFY_PORT,
} from './setup.js';

/** Where a stream comes from or goes to. */
export interface Source {
  readonly net: Connector;
  readonly protocol: Protocol;
  /** What is sent again and again. */
  readonly block: Uint8Array;
}

export abstract class Transfer implements TcpHandlers {
  /** Resolves when bytes may flow. */
  readonly running: Promise<Connection>;
  /** Resolves when the connection is closed. */
  protected readonly closed: Promise<void>;
  protected isStopping = false;
  private readonly iperf3: Iperf3Client | null;
  private tellOpen = (_c: Connection): void => {};
  private tellClosed = (): void => {};
  private tellFault = (_error: Error): void => {};

  constructor({ net, protocol }: Source, direction: Direction, port: number) {
    this.closed = new Promise((resolve) => {
      this.tellClosed = resolve;
    });
    if (protocol === 'iperf3') {
      this.iperf3 = new Iperf3Client(net, SERVER.ip, direction, this);
      this.running = this.iperf3.running;
    } else {
      this.iperf3 = null;
      this.running = new Promise((resolve, reject) => {
        this.tellOpen = resolve;
        this.tellFault = reject;
      });
      net.tcp.connect({ address: SERVER.ip, port, noDelay: true }, this);
    }
  }

  /** Bytes that have arrived at their receiver. */
  abstract get bytes(): number;

  open(c: Connection): void {
    this.tellOpen(c);
  }

  end(c: Connection): void {
    c.end();
  }

  close(_c: Connection, error: Error | null): void {
    this.tellFault(error ?? new Error('the server has ended the connection'));
    this.tellClosed();
  }

  /**
   * Ends the transfer.
   * @returns resolves to the bytes that iperf3 has counted, when all connections are closed; otherwise to null
   */
  async stop(): Promise<number | null> {
    this.isStopping = true;
    const connection = await this.running;
    const theirs = this.iperf3 === null ? null : await this.iperf3.end(this.bytes);
    if (this.iperf3 === null) connection.abort();
    await this.closed;
    return theirs;
  }
}

/** Takes what the server sends. */
export class Receiver extends Transfer {
  bytes = 0;

  /**
   * @param enough bytes, for {@link arrived}
   * @param stream compares what comes
   */
  constructor(
    source: Source,
    private readonly enough = Number.POSITIVE_INFINITY,
    private readonly stream: RepeatedBlock | null = null,
  ) {
    super(source, 'tx', SOURCE_PORT);
  }

  data(_c: Connection, bytes: Uint8Array, offset: number, length: number): void {
    this.bytes += length;
    if (this.stream !== null) this.stream.take(bytes, offset, length);
  }

  /** Resolves when enough has come. */
  async arrived(): Promise<void> {
    await this.running;
    while (this.bytes < this.enough) await sleep(1);
  }
}

/** Sends the block, again and again, up to a limit. */
export class Sender extends Transfer {
  private readonly block: Uint8Array;
  private connection: Connection | null = null;
  /** The first byte of the block that was not written yet. */
  private at = 0;
  private written = 0;
  private readonly verdict = Buffer.alloc(VERDICT_BYTES);
  private verdictBytes = 0;

  constructor(
    source: Source,
    port = DISCARD_PORT,
    private readonly limit = Number.POSITIVE_INFINITY,
  ) {
    super(source, 'rx', port);
    this.block = source.block;
    void this.running.then(
      (c) => {
        this.connection = c;
        this.send(c);
      },
      () => {},
    );
  }

  get bytes(): number {
    const c = this.connection;
    return c === null ? 0 : c.bytesWritten - c.buffered;
  }

  drain(c: Connection): void {
    if (this.connection !== null) this.send(c);
  }

  data(_c: Connection, bytes: Uint8Array, offset: number, length: number): void {
    for (let i = 0; i < length && this.verdictBytes < VERDICT_BYTES; i++) {
      this.verdict[this.verdictBytes++] = bytes[offset + i];
    }
  }

  /** Resolves when the peer has acknowledged everything up to the limit. */
  async arrived(): Promise<void> {
    const c = await this.running;
    while (this.written < this.limit || c.buffered > 0) await sleep(1);
  }

  /** Ends our side: the server has everything, and answers. */
  async finish(): Promise<Check> {
    await this.arrived();
    (await this.running).end();
    await this.closed;
    return { bytes: this.verdict.readUInt32BE(0), wrong: this.verdict.readUInt32BE(4) };
  }

  private send(c: Connection): void {
    const { block } = this;
    while (!this.isStopping && this.written < this.limit) {
      const length = Math.min(block.length - this.at, this.limit - this.written);
      const taken = c.write(block, this.at, length);
      this.written += taken;
      this.at = (this.at + taken) % block.length;
      if (taken < length) return;
    }
  }
}

/** Sends or receives `bytes` bytes, and has them compared. */
export async function check(source: Source, direction: Direction, bytes: number): Promise<Check> {
  const hasBlock = source.protocol === 'ports';
  if (direction === 'tx') {
    // iperf3 sends bytes of its own.
    const stream = hasBlock ? new RepeatedBlock(source.block) : null;
    const receiver = new Receiver(source, bytes, stream);
    await receiver.arrived();
    await receiver.stop();
    return { bytes: receiver.bytes, wrong: stream?.wrong ?? null };
  }
  const sender = new Sender(source, VERIFY_PORT, bytes);
  if (hasBlock) return sender.finish();
  await sender.arrived();
  // iperf3 does not look at what comes.
  return { bytes: (await sender.stop()) ?? 0, wrong: null };
}
