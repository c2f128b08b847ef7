/**
 * The client's side of an iperf3 test with one TCP stream, on our stack. iperf3 has no specification; iperf 3.12 was the
 * peer.
 */
import {
  ACCESS_DENIED,
  COOKIE_BYTES,
  CREATE_STREAMS,
  DISPLAY_RESULTS,
  EXCHANGE_RESULTS,
  IPERF_DONE,
  IPERF_PORT,
  MAX_JSON_BYTES,
  PARAM_EXCHANGE,
  resultsText,
  SERVER_ERROR,
  sendState,
  sendText,
  TEST_END,
  TEST_RUNNING,
} from '../../../src/apps/iperf3/protocol.js';
import { HeldBytes } from '../../../src/apps/tcp/held-bytes.js';
import type { Connection, ConnectOptions, TcpHandlers } from '../../../src/tcpip/index.js';
import type { Direction } from './setup.js';

/** Bytes of a write of the server: iperf3's default. */
const BLOCK_BYTES = 131_072;
/** Characters of a cookie, as iperf3 chooses them. */
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';

function makeCookie(): Uint8Array {
  const cookie = new Uint8Array(COOKIE_BYTES);
  for (let i = 0; i < COOKIE_BYTES - 1; i++) {
    cookie[i] = ALPHABET.charCodeAt(Math.floor(Math.random() * ALPHABET.length));
  }
  return cookie;
}

/** A stack, as far as a client needs it. */
export interface Connector {
  readonly tcp: { connect(options: ConnectOptions, handlers: TcpHandlers): Connection };
}

export class Iperf3Client {
  private readonly cookie = makeCookie();
  private readonly held = new HeldBytes();
  private readonly control: Connection;
  private stream: Connection | null = null;
  /** Whether the server's next message is its results. */
  private awaitsResults = false;
  private bytes = 0;
  private settleRunning: { resolve(c: Connection): void; reject(error: Error): void } | null = null;
  private settleEnd: { resolve(bytes: number): void; reject(error: Error): void } | null = null;
  private theirBytes = 0;
  private startMs = 0;

  /** Resolves to the data connection when the test runs. */
  readonly running: Promise<Connection>;

  /**
   * Begins a test.
   * @param address of the server
   * @param direction `tx`: the server sends
   * @param handlers of the data connection, on which the client sends its cookie first
   */
  constructor(
    private readonly net: Connector,
    private readonly address: string,
    private readonly direction: Direction,
    private readonly handlers: TcpHandlers,
  ) {
    this.running = new Promise((resolve, reject) => {
      this.settleRunning = { resolve, reject };
    });
    this.control = net.tcp.connect(
      { address, port: IPERF_PORT, noDelay: true },
      {
        open: (c) => c.write(this.cookie),
        data: (_c, bytes, offset, length) => this.take(bytes, offset, length),
        end: (c) => c.end(),
        close: (_c, error) => this.closed(error),
      },
    );
  }

  /**
   * Ends the test.
   * @param bytes that we have sent or received
   * @returns resolves to the bytes that the server has received or sent, when the control connection is closed
   */
  end(bytes: number): Promise<number> {
    this.bytes = bytes;
    const ended = new Promise<number>((resolve, reject) => {
      this.settleEnd = { resolve, reject };
    });
    sendState(this.control, TEST_END);
    return ended;
  }

  private take(bytes: Uint8Array, offset: number, length: number): void {
    const { held } = this;
    held.append(bytes, offset, length);
    while (held.length > 0 && (this.awaitsResults ? this.takeResults() : this.takeState())) {}
  }

  private takeState(): boolean {
    const { held, control } = this;
    const state = held.bytes[held.start];
    held.skipTo(held.start + 1);
    switch (state) {
      case PARAM_EXCHANGE:
        sendText(control, JSON.stringify(this.parameters()));
        break;
      case CREATE_STREAMS:
        this.openStream();
        break;
      case TEST_RUNNING:
        this.startMs = performance.now();
        this.settleRunning?.resolve(this.stream!);
        break;
      case EXCHANGE_RESULTS:
        this.sendResults();
        this.awaitsResults = true;
        break;
      case DISPLAY_RESULTS:
        sendState(control, IPERF_DONE);
        control.end();
        break;
      case ACCESS_DENIED:
      case SERVER_ERROR:
        this.fail(new Error(`iperf3 refuses the test (state ${state})`));
        return false;
      default:
      // TEST_START: TEST_RUNNING follows.
    }
    return true;
  }

  private parameters(): Record<string, unknown> {
    return {
      ...{ tcp: true, omit: 0, time: 0, num: 0, blockcount: 0, parallel: 1, nodelay: true },
      ...(this.direction === 'tx' ? { reverse: true } : {}),
      ...{ len: BLOCK_BYTES, pacing_timer: 1000, client_version: '3.12' },
    };
  }

  private openStream(): void {
    const { net, address, cookie, handlers } = this;
    this.stream = net.tcp.connect({ address, port: IPERF_PORT, noDelay: true }, handlers);
    // It goes out when the connection is open.
    this.stream.write(cookie);
  }

  private sendResults(): void {
    const seconds = (performance.now() - this.startMs) / 1000;
    const retransmits = this.direction === 'rx' ? 0 : -1;
    sendText(this.control, resultsText([{ id: 1, bytes: this.bytes, retransmits }], seconds, process.cpuUsage()));
  }

  /** Takes the server's results. Returns false when they are not complete. */
  private takeResults(): boolean {
    const { held } = this;
    const all = Buffer.from(held.bytes.buffer, held.bytes.byteOffset + held.start, held.length);
    if (all.length < 4) return false;
    const length = all.readUInt32BE(0);
    if (length > MAX_JSON_BYTES) {
      this.fail(new Error(`iperf3 announces results of ${length} bytes`));
      return false;
    }
    if (all.length < 4 + length) return false;
    const { streams } = JSON.parse(all.toString('utf8', 4, 4 + length)) as { streams: { bytes: number }[] };
    this.theirBytes = streams[0]?.bytes ?? 0;
    held.skipTo(held.start + 4 + length);
    this.awaitsResults = false;
    return true;
  }

  private closed(error: Error | null): void {
    this.held.clear();
    const why = error ?? new Error('iperf3 has ended the test');
    this.settleRunning?.reject(why);
    if (error === null) this.settleEnd?.resolve(this.theirBytes);
    else this.settleEnd?.reject(error);
  }

  private fail(error: Error): void {
    this.settleRunning?.reject(error);
    this.settleEnd?.reject(error);
    this.control.abort();
  }
}
