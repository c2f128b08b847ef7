/** Parses the head of an HTTP/1.1 response (RFC 9112, 4). For clients. */
import { ascii, isText, NO_NUMBER, NUMBER_TOO_LARGE, readDecimal, SPACE, textOf } from './ascii.js';
import type { BodyReader } from './body.js';
import {
  FIELD_BAD,
  FIELD_UNKNOWN_CODING,
  FIELDS_END,
  FIELDS_TOO_MANY,
  HEAD_INCOMPLETE,
  HEAD_MALFORMED,
  HeadFields,
  HeadScan,
  NO_LENGTH,
} from './head.js';

/** Longest head of a response, in bytes. */
const MAX_HEAD_BYTES = 65_536;
const MAX_FIELDS = 200;
const HTTP = ascii('HTTP/1.');
/** `HTTP/1.1 200`. */
const STATUS_AT = 9;
const STATUS_END = 12;

export const RESPONSE_INCOMPLETE = 0;
export const RESPONSE_COMPLETE = 1;
export const RESPONSE_MALFORMED = 2;

export class ResponseParser {
  status = 0;
  /** Text after the status code. */
  reason = '';
  /** Whether the server keeps the connection open after this response. */
  isKeptAlive = false;
  /** `Content-Length`, or -1. */
  contentLength = NO_LENGTH;
  /** Position after the head. */
  headEnd = 0;
  /** What is wrong with a malformed head. */
  fault = '';

  private isChunked = false;
  private readonly scan = new HeadScan();
  private readonly fields = new HeadFields(MAX_FIELDS);

  reset(): void {
    this.scan.reset();
  }

  /** Parses the head that begins at `start`. While it is incomplete, the caller repeats this with more bytes. */
  parse(bytes: Uint8Array, start: number, end: number): number {
    const headEnd = this.scan.find(bytes, start, Math.min(end, start + MAX_HEAD_BYTES));
    if (headEnd === HEAD_MALFORMED) return this.refuse('a line of the head does not end with CR LF');
    if (headEnd === HEAD_INCOMPLETE) {
      if (end - start < MAX_HEAD_BYTES) return RESPONSE_INCOMPLETE;
      return this.refuse(`the head is longer than ${MAX_HEAD_BYTES} bytes`);
    }
    this.headEnd = headEnd;
    const minor = bytes[start + HTTP.length] - 0x30;
    if (!isText(bytes, start, start + HTTP.length, HTTP) || !(minor >= 0 && minor <= 9)) {
      return this.refuse('it is not HTTP/1.x');
    }
    this.status = readDecimal(bytes, start + STATUS_AT, start + STATUS_END);
    if (this.status === NO_NUMBER || this.status < 100 || bytes[start + STATUS_AT - 1] !== SPACE) {
      return this.refuse('its status is not a number of three digits');
    }
    let line = start + STATUS_END;
    while (bytes[line] !== 0x0d) line++;
    this.reason = textOf(bytes, start + STATUS_END, line).trim();
    return this.parseFields(bytes, line + 2, minor);
  }

  /** Begins the body. Call it once per response whose head is complete. */
  beginBody(body: BodyReader): void {
    // RFC 9112, 6.3.
    if (this.status === 204 || this.status === 304) body.beginLength(0);
    else if (this.isChunked) body.beginChunked();
    else if (this.contentLength !== NO_LENGTH) body.beginLength(this.contentLength);
    else body.beginUntilClose();
  }

  /** Whether another head follows for the same request (RFC 9110, 15.2). */
  get isInformational(): boolean {
    return this.status < 200;
  }

  private parseFields(bytes: Uint8Array, at: number, minor: number): number {
    const { fields } = this;
    fields.begin(at, this.headEnd);
    for (let kind = fields.next(bytes); kind !== FIELDS_END; kind = fields.next(bytes)) {
      if (kind === FIELD_BAD) return this.refuse('a field of its head is malformed');
      if (kind === FIELDS_TOO_MANY) return this.refuse(`its head has more than ${MAX_FIELDS} fields`);
      if (kind === FIELD_UNKNOWN_CODING) return this.refuse('its transfer coding is not chunked');
    }
    if (fields.contentLength === NUMBER_TOO_LARGE) return this.refuse('its Content-Length is too large');
    if (fields.isChunked && fields.contentLength !== NO_LENGTH) return this.refuse('it has two lengths');
    this.isChunked = fields.isChunked;
    this.contentLength = fields.contentLength;
    const isDelimited =
      fields.isChunked || fields.contentLength !== NO_LENGTH || this.status === 204 || this.status === 304;
    this.isKeptAlive = isDelimited && !fields.hasClose && (minor >= 1 || fields.hasKeepAlive);
    return RESPONSE_COMPLETE;
  }

  private refuse(fault: string): number {
    this.fault = fault;
    return RESPONSE_MALFORMED;
  }
}
