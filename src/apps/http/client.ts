/** One connection of an HTTP/1.1 client: it sends one request after the other, and takes the responses. */

import type { Connection, TcpHandlers } from '../../tcpip/index.js';
import { HeldBytes } from '../tcp/held-bytes.js';
import { HotMessage } from './hot-message.js';
import { BODY_MALFORMED, BodyReader, type ContentSink } from './message/body.js';
import { RESPONSE_INCOMPLETE, RESPONSE_MALFORMED, ResponseParser } from './message/response.js';

/** Why a request got no whole response. */
export type Failure =
  /** The connection could not be opened. */
  | 'connect'
  /** The connection broke. */
  | 'reset'
  /** The server closed the connection before the end of the response. */
  | 'partial'
  /** The response is not HTTP/1.x, or contradicts itself. */
  | 'malformed'
  | 'timeout';

/** Told what becomes of the requests of a client. */
export interface ClientOwner {
  /** The head of the final response is here. `client.response` has it until the next request. */
  head(client: HttpClient): void;
  /** Content, where it lies. The bytes are valid during the call. */
  content(client: HttpClient, bytes: Uint8Array, offset: number, length: number): void;
  /** The response is complete. When `client.canSend` is true, {@link HttpClient.send} may follow at once. */
  done(client: HttpClient): void;
  /** There is no whole response, and the connection is of no more use. */
  failed(client: HttpClient, why: Failure, message: string): void;
  /** The connection has gone. Called last, once, after {@link done} or {@link failed} if a request was under way. */
  closed(client: HttpClient): void;
}

const NOWHERE = -1;

export class HttpClient implements ContentSink {
  readonly response = new ResponseParser();
  readonly body = new BodyReader();
  /** Null before {@link HttpClient.attach}, and when the connection has gone. */
  c: Connection | null = null;

  private readonly held = new HeldBytes();
  /** A response of known length that lay in one piece. */
  private readonly hot = new HotMessage();
  private isOpen = false;
  private isWaiting = false;
  private hasHead = false;
  private isEnding = false;
  /** Bytes of the request that were taken. */
  private sent = 0;

  /** @param request the bytes of a whole request, which every {@link HttpClient.send} sends */
  constructor(
    private readonly request: Uint8Array,
    private readonly owner: ClientOwner,
  ) {}

  /** Whether another request can be sent on this connection. */
  get canSend(): boolean {
    return this.isOpen && !this.isWaiting && !this.isEnding && this.response.isKeptAlive;
  }

  /** Whether a request waits for its response. */
  get isBusy(): boolean {
    return this.isWaiting;
  }

  /** Begins with a connection that is being opened, and sends the first request as soon as it is open. */
  attach(c: Connection): void {
    this.c = c;
    c.context = this;
    this.isWaiting = true;
  }

  /** Sends the request again. */
  send(): void {
    this.isWaiting = true;
    this.hasHead = false;
    this.sent = 0;
    this.response.reset();
    this.pump();
  }

  /** Ends the connection. A response that is under way is given up. */
  end(): void {
    this.isEnding = true;
    if (this.isWaiting) this.c?.abort();
    else this.c?.end();
  }

  /** Gives up: no answer has come in time. */
  timeOut(message: string): void {
    if (this.isWaiting) this.fail('timeout', message);
  }

  opened(): void {
    this.isOpen = true;
    this.send();
  }

  pump(): void {
    const { c, request } = this;
    if (c !== null && this.sent < request.length) this.sent += c.write(request, this.sent, request.length - this.sent);
  }

  receive(bytes: Uint8Array, offset: number, length: number): void {
    const { held } = this;
    if (!this.isWaiting) {
      // Bytes that nobody asked for: what follows would be taken for the next response.
      if (!this.isEnding) this.end();
      return;
    }
    if (held.length > 0) {
      held.append(bytes, offset, length);
      const at = this.take(held.bytes, held.start, held.end);
      if (held.length > 0) held.skipTo(at);
      return;
    }
    const end = offset + length;
    const { hot } = this;
    if (length === hot.length && !this.hasHead && hot.matches(bytes, offset, end)) {
      this.takeHot(bytes, end);
      return;
    }
    const at = this.take(bytes, offset, end);
    if (at < end && this.isWaiting) held.append(bytes, at, end - at);
  }

  peerEnded(): void {
    if (this.isWaiting && this.hasHead && this.body.endsWithConnection) this.complete();
    else if (this.isWaiting) this.fail('partial', `the server closed the connection ${this.progress()}`);
    this.isEnding = true;
    this.c?.end();
  }

  closed(error: Error | null): void {
    this.c = null;
    this.held.clear();
    if (this.isWaiting) {
      const why = this.isOpen ? 'reset' : 'connect';
      const reason = error?.message ?? 'the connection was closed';
      this.fail(why, this.isOpen ? `${reason} ${this.progress()}` : reason);
    }
    this.owner.closed(this);
  }

  content(bytes: Uint8Array, offset: number, length: number): void {
    this.owner.content(this, bytes, offset, length);
  }

  /** Says how far the response has come. */
  private progress(): string {
    if (!this.hasHead) return 'before its response';
    const { received } = this.body;
    const { contentLength } = this.response;
    return contentLength >= 0 ? `after ${received} of ${contentLength} bytes` : `after ${received} bytes`;
  }

  /** Takes the response that came before, once more: what was found in it is still known. */
  private takeHot(bytes: Uint8Array, end: number): void {
    const { contentLength } = this.response;
    this.hasHead = true;
    this.owner.head(this);
    if (contentLength > 0) this.content(bytes, end - contentLength, contentLength);
    this.complete();
  }

  /** Takes a part of the response. Returns the position after the last byte that it took. */
  private take(bytes: Uint8Array, from: number, end: number): number {
    const { response, body } = this;
    let at = from;
    let start = NOWHERE;
    while (this.isWaiting && at < end) {
      if (!this.hasHead) {
        start = at;
        const result = response.parse(bytes, at, end);
        if (result === RESPONSE_INCOMPLETE) return at;
        if (result === RESPONSE_MALFORMED) {
          this.fail('malformed', `the response is malformed: ${response.fault}`);
          return end;
        }
        at = response.headEnd;
        if (response.isInformational) continue;
        this.hasHead = true;
        response.beginBody(body);
        this.owner.head(this);
      } else {
        at = body.consume(bytes, at, end, this);
        if (at === BODY_MALFORMED) {
          this.fail('malformed', 'the chunks of the response are malformed');
          return end;
        }
      }
      if (!body.isDone) continue;
      if (start !== NOWHERE && at === end && response.contentLength === body.received)
        this.hot.remember(bytes, start, end);
      this.complete();
    }
    return at;
  }

  private complete(): void {
    this.isWaiting = false;
    this.owner.done(this);
  }

  private fail(why: Failure, message: string): void {
    this.isWaiting = false;
    this.isEnding = true;
    this.owner.failed(this, why, message);
    this.c?.abort();
  }
}

/** The handlers of all connections that have an {@link HttpClient}. */
export const CLIENT_HANDLERS: TcpHandlers = {
  open: (c) => (c.context as HttpClient).opened(),
  data: (c, bytes, offset, length) => (c.context as HttpClient).receive(bytes, offset, length),
  drain: (c) => (c.context as HttpClient).pump(),
  end: (c) => (c.context as HttpClient).peerEnded(),
  close(c, error) {
    const client = c.context;
    c.context = null;
    if (client instanceof HttpClient) client.closed(error);
  },
};

/** Returns the bytes of a GET request. */
export function getRequest(host: string, path: string, isKeptAlive: boolean): Uint8Array {
  const connection = isKeptAlive ? '' : 'Connection: close\r\n';
  return Buffer.from(
    `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: tspmd\r\nAccept: */*\r\n${connection}\r\n`,
    'latin1',
  );
}
