/**
 * One connection of the server: takes bytes, answers one request after the other, and ends. While a response is being
 * sent, further requests wait, and the peer is paused.
 */
import { createHash } from 'node:crypto';
import type { Connection } from '../../tcpip/index.js';
import { HeldBytes } from '../tcp/held-bytes.js';
import { CLOSE, CONTINUE, KEEP_ALIVE, KEEP_ALIVE_TOLD } from './answers.js';
import { textOf } from './message/ascii.js';
import { BODY_MALFORMED, BodyReader, type ContentSink } from './message/body.js';
import { HeadScan, NO_LENGTH } from './message/head.js';
import { METHOD_HEAD, REQUEST_COMPLETE, REQUEST_INCOMPLETE, type RequestParser } from './message/request.js';
import { PendingRequest } from './pending.js';
import { Responder } from './responder.js';
import { routeOf } from './routes.js';
import type { HttpShared } from './shared.js';

/** Longest content that is read, and ignored, for a request that wants none. */
const MAX_IGNORED_BYTES = 65_536;

/** What a connection waits for; each has a limit in `LIMITS`. */
const WAIT_REQUEST = 0;
const WAIT_HEAD = 1;
const WAIT_CONTENT = 2;
const WAIT_READER = 3;
const WAIT_CLOSE = 4;
/** Seconds. A slow peer must move {@link MIN_BYTES} in this time. */
const LIMITS = [60, 10, 30, 30, 5];
const MIN_BYTES = 1024;

export class Exchange implements ContentSink {
  /** Place in the server's list. */
  index = 0;

  private c: Connection | null = null;
  private readonly scan = new HeadScan();
  private readonly body = new BodyReader();
  private readonly input = new HeldBytes();
  private readonly request = new PendingRequest();
  private readonly responder: Responder;

  private isPaused = false;
  private hasPeerEnded = false;
  /** Our end is closed: what still comes is dropped. */
  private isClosing = false;

  private requests = 0;
  private waitsFor = WAIT_REQUEST;
  private deadline = 0;
  private lastRequests = 0;
  private lastProgress = 0;

  constructor(private readonly shared: HttpShared) {
    this.responder = new Responder(shared, this);
  }

  /** Begins with a new connection. `now` is in seconds. */
  open(c: Connection, now: number): void {
    this.c = c;
    this.waitsFor = WAIT_REQUEST;
    this.deadline = now + LIMITS[WAIT_REQUEST];
  }

  receive(bytes: Uint8Array, offset: number, length: number): void {
    if (this.isClosing) return;
    const { input } = this;
    if (input.length > 0 || this.responder.sender.isBusy) {
      input.append(bytes, offset, length);
      this.processInput();
    } else {
      const end = offset + length;
      const at = this.process(bytes, offset, end);
      if (at < end && !this.isClosing) input.append(bytes, at, end - at);
    }
    if (!this.isPaused && input.length > 0 && this.responder.sender.isBusy) {
      this.isPaused = true;
      this.c?.pause();
    }
  }

  /** There is room in the send buffer, or a file has something to send. */
  advance(): void {
    this.send();
    if (this.responder.sender.isBusy || this.isClosing) return;
    this.processInput();
    if (this.responder.sender.isBusy) return;
    if (this.isPaused && !this.isClosing) {
      this.isPaused = false;
      this.c?.resume();
    }
    if (this.hasPeerEnded) this.finish();
  }

  /** The peer has ended its side. Requests that are complete still get their responses. */
  peerEnded(): void {
    this.hasPeerEnded = true;
    if (!this.responder.sender.isBusy) this.finish();
  }

  /** A response cannot be completed. Its length was sent already, so only a reset tells the client (RFC 9112, 8). */
  fail(): void {
    this.c?.abort();
  }

  /** The connection is gone. Afterwards the object can serve another one. */
  closed(): void {
    this.c = null;
    this.scan.reset();
    this.body.beginLength(0);
    this.input.clear();
    this.request.hash = null;
    this.responder.reset();
    this.isPaused = this.hasPeerEnded = this.isClosing = false;
    this.requests = this.lastRequests = 0;
  }

  /** Content of a request, from {@link BodyReader}. */
  content(bytes: Uint8Array, offset: number, length: number): void {
    this.shared.receivedBytes += length;
    this.request.hash?.update(bytes.subarray(offset, offset + length));
  }

  /** Ends the connection when its peer takes too long. Called every second; `now` is in seconds. */
  tick(now: number): void {
    const waitsFor = this.isClosing ? WAIT_CLOSE : this.waiting();
    const progress = this.responder.sender.progress + this.body.received;
    const moved = waitsFor === WAIT_CONTENT || waitsFor === WAIT_READER ? progress - this.lastProgress : 0;
    const isNew = waitsFor !== this.waitsFor || this.requests !== this.lastRequests;
    if (isNew || (now >= this.deadline && moved >= MIN_BYTES)) {
      this.waitsFor = waitsFor;
      this.lastRequests = this.requests;
      this.lastProgress = progress;
      this.deadline = now + LIMITS[waitsFor];
    } else if (now >= this.deadline) {
      this.expire(waitsFor);
    }
  }

  private waiting(): number {
    if (this.responder.sender.isBusy) return WAIT_READER;
    if (!this.body.isDone) return WAIT_CONTENT;
    return this.input.length > 0 ? WAIT_HEAD : WAIT_REQUEST;
  }

  private expire(waitedFor: number): void {
    this.shared.timeouts++;
    if (waitedFor === WAIT_READER || waitedFor === WAIT_CLOSE) this.c?.abort();
    else if (waitedFor === WAIT_REQUEST) this.finish();
    else this.refuse(408, 0);
  }

  private processInput(): void {
    const { input } = this;
    if (this.responder.sender.isBusy) return;
    const at = this.process(input.bytes, input.start, input.end);
    if (!this.isClosing) input.skipTo(at);
  }

  /** Takes bytes until they end, or a response is under way. Returns the position after the last byte that it took. */
  private process(bytes: Uint8Array, from: number, end: number): number {
    const { body, scan, shared, responder } = this;
    let at = from;
    while (at < end && !responder.sender.isBusy && !this.isClosing) {
      if (!body.isDone) {
        at = body.consume(bytes, at, end, this);
        if (at === BODY_MALFORMED) return this.refuse(400, end);
        if (body.isDone) this.answer();
      } else if (!scan.hasBegun && shared.hot.matches(bytes, at, end)) {
        at += shared.hot.length;
        this.requests++;
        shared.requests++;
        responder.sender.begin(shared.hot.response);
        this.send();
      } else {
        const { parser } = shared;
        const result = parser.parse(scan, bytes, at, end);
        if (result === REQUEST_INCOMPLETE) return at;
        this.requests++;
        shared.requests++;
        if (result !== REQUEST_COMPLETE) return this.refuse(result, end);
        this.accept(parser, bytes, at);
        at = parser.headEnd;
      }
    }
    return at;
  }

  /** Begins with a request whose head begins at `from`. */
  private accept(parser: RequestParser, bytes: Uint8Array, from: number): void {
    const { request, shared, body } = this;
    const { bodyLength, headEnd } = parser;
    request.isHead = parser.method === METHOD_HEAD;
    const kept = parser.minor === 0 ? KEEP_ALIVE_TOLD : KEEP_ALIVE;
    request.connection = parser.isKeptAlive ? kept : CLOSE;
    request.range = textOf(bytes, parser.rangeStart, parser.rangeEnd);
    request.hash = null;
    const target = textOf(bytes, parser.targetStart, parser.targetEnd);
    const route = routeOf(parser.method, target, shared.files !== null);
    request.route = route;
    if (bodyLength === 0) {
      body.beginLength(0);
      const response = this.answer();
      if (response !== null) shared.hot.rememberAnswered(bytes, from, headEnd, response);
      return;
    }
    if (
      route.kind !== 'sink' &&
      (bodyLength > MAX_IGNORED_BYTES || bodyLength === NO_LENGTH || parser.expectsContinue)
    ) {
      // The content is not read, so the connection cannot go on after it.
      request.connection = CLOSE;
      if (route.kind === 'error') this.answer();
      else this.refuse(413, headEnd);
      return;
    }
    if (bodyLength === NO_LENGTH) body.beginChunked();
    else body.beginLength(bodyLength);
    if (route.kind === 'sink' && route.hash) request.hash = createHash('sha256');
    if (!parser.expectsContinue) return;
    this.responder.sender.begin(CONTINUE);
    this.send();
  }

  private answer(): Uint8Array | null {
    const response = this.responder.answer(this.request, this.body.received);
    this.send();
    return response;
  }

  /**
   * Sends an error, and ends the connection: where the next request begins is not known.
   * @returns `end`, because nothing before it is read any more
   */
  private refuse(status: number, end: number): number {
    this.responder.error(status, CLOSE, false);
    this.send();
    return end;
  }

  private send(): void {
    const { c, responder } = this;
    if (c === null || !responder.sender.isBusy || !responder.sender.pump(c)) return;
    if (responder.isLast) this.finish();
  }

  /** Closes our end. The rest of the request is read and dropped: a reset could destroy the response (RFC 9112, 9.6). */
  private finish(): void {
    if (this.isClosing) return;
    this.isClosing = true;
    this.input.clear();
    this.c?.end();
    if (!this.isPaused) return;
    this.isPaused = false;
    this.c?.resume();
  }
}
