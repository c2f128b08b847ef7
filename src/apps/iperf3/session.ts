/** One iperf3 test, from its parameters to its results. */

import type { Connection } from '../../tcpip/index.js';
import { HeldBytes } from '../tcp/held-bytes.js';
import {
  CLIENT_TERMINATE,
  CREATE_STREAMS,
  DISPLAY_RESULTS,
  EXCHANGE_RESULTS,
  IPERF_DONE,
  MAX_JSON_BYTES,
  PARAM_EXCHANGE,
  readParameters,
  resultsText,
  type StreamResult,
  sendState,
  sendText,
  sendUnimplemented,
  TEST_END,
  TEST_RUNNING,
  TEST_START,
  type TestParameters,
} from './protocol.js';
import { Stream } from './stream.js';

/** Seconds without a sign of life of the client. */
const PATIENCE = 30;
/** How often the streams of a limited rate send, in ms. */
const PACING_MS = 5;

export class Session {
  private state = PARAM_EXCHANGE;
  private parameters: TestParameters | null = null;
  private readonly streams: Stream[] = [];
  private readonly held = new HeldBytes();
  private results: StreamResult[] = [];
  private startMs = 0;
  private seconds = 0;
  private cpu = process.cpuUsage();
  private omitTimer: NodeJS.Timeout | null = null;
  private pacingTimer: NodeJS.Timeout | null = null;
  private quiet = 0;
  private lastBytes = 0;

  /** @param c the control connection */
  constructor(
    private readonly c: Connection,
    readonly cookie: Uint8Array,
  ) {
    sendState(c, PARAM_EXCHANGE);
  }

  /** Takes bytes of the control connection. */
  control(bytes: Uint8Array, offset: number, length: number): void {
    const { held } = this;
    this.quiet = 0;
    held.append(bytes, offset, length);
    while (held.length > 0 && this.take()) {}
    if (held.length > MAX_JSON_BYTES) this.c.abort();
  }

  /** Adds a data connection. Returns null when the test wants none now. */
  add(c: Connection, order: number): Stream | null {
    const { parameters, streams } = this;
    if (this.state !== CREATE_STREAMS || parameters === null) return null;
    const stream = new Stream(c, order);
    streams.push(stream);
    this.quiet = 0;
    const wanted = parameters.streams * (parameters.serverSends && parameters.serverReceives ? 2 : 1);
    if (streams.length === wanted) this.start(parameters);
    return stream;
  }

  /** Called every second. */
  tick(): void {
    const bytes = this.streams.reduce((sum, stream) => sum + stream.bytes, 0);
    this.quiet = bytes === this.lastBytes ? this.quiet + 1 : 0;
    this.lastBytes = bytes;
    if (this.quiet > PATIENCE) this.c.abort();
  }

  /** The control connection has gone. */
  closed(): void {
    this.stopTimers();
    this.held.clear();
    for (const stream of this.streams) stream.abort();
  }

  /** Takes a message. Returns false when it is not complete. */
  private take(): boolean {
    const { held, state } = this;
    if (state === PARAM_EXCHANGE || state === EXCHANGE_RESULTS) {
      const text = this.takeText();
      if (text === null) return false;
      if (state === PARAM_EXCHANGE) this.takeParameters(text);
      else this.sendResults();
      return true;
    }
    const message = held.bytes[held.start];
    held.skipTo(held.start + 1);
    if (message === TEST_END && state === TEST_RUNNING) this.end();
    else if (message === IPERF_DONE || message === CLIENT_TERMINATE) this.c.end();
    else this.c.abort();
    return true;
  }

  private takeText(): string | null {
    const { held } = this;
    if (held.length < 4) return null;
    const all = Buffer.from(held.bytes.buffer, held.bytes.byteOffset + held.start, held.length);
    const length = all.readUInt32BE(0);
    if (length > MAX_JSON_BYTES) {
      this.c.abort();
      return null;
    }
    if (all.length < 4 + length) return null;
    const text = all.toString('utf8', 4, 4 + length);
    held.skipTo(held.start + 4 + length);
    return text;
  }

  private takeParameters(text: string): void {
    this.parameters = readParameters(text);
    if (this.parameters === null) {
      sendUnimplemented(this.c);
      this.c.end();
      return;
    }
    this.enter(CREATE_STREAMS);
  }

  private start({ block, limit, rate, omit, serverSends, serverReceives, streams: count }: TestParameters): void {
    const { streams } = this;
    streams.sort((a, b) => a.order - b.order);
    // iperf3 numbers its streams 1, 3, 4, 5, ...
    streams.forEach((stream, i) => {
      stream.id = i === 0 ? 1 : i + 2;
    });
    this.startMs = performance.now();
    this.cpu = process.cpuUsage();
    this.enter(TEST_START);
    this.enter(TEST_RUNNING);
    const budget = { left: limit === 0 ? Number.MAX_SAFE_INTEGER : limit };
    const bytes = new Uint8Array(block);
    // In a test of both directions, the client opens the streams on which it sends first.
    const receivers = serverReceives ? count : 0;
    streams.slice(0, receivers).forEach((stream) => {
      stream.startReceiving();
    });
    if (serverSends) for (const stream of streams.slice(receivers)) stream.startSending(bytes, budget, rate / 8000);
    if (serverSends && rate > 0) this.pacingTimer = setInterval(() => this.pace(), PACING_MS);
    if (omit > 0) this.omitTimer = setTimeout(() => this.omit(), omit * 1000);
  }

  private pace(): void {
    for (const stream of this.streams) stream.pump();
  }

  private omit(): void {
    for (const stream of this.streams) stream.omit();
    this.startMs = performance.now();
  }

  /** The client has ended the test. */
  private end(): void {
    this.stopTimers();
    this.seconds = (performance.now() - this.startMs) / 1000;
    this.cpu = process.cpuUsage(this.cpu);
    this.results = this.streams.map((stream) => stream.result());
    for (const stream of this.streams) stream.stop();
    this.enter(EXCHANGE_RESULTS);
  }

  private sendResults(): void {
    sendText(this.c, resultsText(this.results, this.seconds, this.cpu));
    this.enter(DISPLAY_RESULTS);
  }

  private enter(state: number): void {
    this.state = state;
    sendState(this.c, state);
  }

  private stopTimers(): void {
    if (this.omitTimer !== null) clearTimeout(this.omitTimer);
    if (this.pacingTimer !== null) clearInterval(this.pacingTimer);
  }
}
