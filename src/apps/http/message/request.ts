/** Parses the head of an HTTP/1.0 or HTTP/1.1 request (RFC 9112, 3), where it lies. Nothing is allocated. */
import { ascii, isText, isToken, LF, NUMBER_TOO_LARGE, SPACE } from './ascii.js';
import {
  FIELD_BAD,
  FIELD_OTHER,
  FIELD_UNKNOWN_CODING,
  FIELDS_END,
  FIELDS_TOO_MANY,
  HEAD_INCOMPLETE,
  HEAD_MALFORMED,
  HeadFields,
  type HeadScan,
  NO_LENGTH,
} from './head.js';

/** Longest head, in bytes. */
export const MAX_HEAD_BYTES = 8192;
/** Most field lines of a head. */
export const MAX_FIELDS = 100;

export const METHOD_GET = 0;
export const METHOD_HEAD = 1;
export const METHOD_POST = 2;
export const METHOD_PUT = 3;
/** A method of RFC 9110 or RFC 5789 that no resource here has. */
export const METHOD_OTHER = 4;
export const METHOD_UNKNOWN = 5;

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'].map(ascii);

/** Results of {@link RequestParser.parse}. Other results are the status code of an error. */
export const REQUEST_INCOMPLETE = 0;
export const REQUEST_COMPLETE = 1;

const HOST = ascii('host');
const EXPECT = ascii('expect');
const RANGE = ascii('range');
const IF_RANGE = ascii('if-range');
const CONTINUE = ascii('100-continue');

/** `HTTP/1.1`, and the digits' places in it. */
const VERSION = ascii('HTTP/');
const VERSION_BYTES = 8;

const EMPTY_LINE = 2;

const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;

export class RequestParser {
  method = METHOD_UNKNOWN;
  /** Position of the request target in the bytes. */
  targetStart = 0;
  targetEnd = 0;
  /** Position of the value of `Range`; equal when there is none, or when `If-Range` makes it void. */
  rangeStart = 0;
  rangeEnd = 0;
  /** 0 or 1: HTTP/1.0, or HTTP/1.1 and later. */
  minor = 1;
  expectsContinue = false;
  /** Whether the connection stays open after the response. */
  isKeptAlive = true;
  /** `Content-Length`, 0 when there is no body, {@link NO_LENGTH} for a chunked body. */
  bodyLength = 0;
  /** Position after the head. */
  headEnd = 0;

  private readonly fields = new HeadFields(MAX_FIELDS);

  /**
   * Parses the head that begins at `start`. While it is incomplete, the caller repeats this with the same bytes and
   * more.
   * @param scan of the connection; a parser may serve many connections
   * @returns {@link REQUEST_COMPLETE}, {@link REQUEST_INCOMPLETE}, or the status code of the response that refuses it
   */
  parse(scan: HeadScan, bytes: Uint8Array, start: number, end: number): number {
    const first = start + scan.blank;
    const headEnd = scan.find(bytes, first, Math.min(end, first + MAX_HEAD_BYTES));
    if (headEnd === HEAD_MALFORMED) return 400;
    if (headEnd === HEAD_INCOMPLETE) return end - first < MAX_HEAD_BYTES ? REQUEST_INCOMPLETE : tooLong(bytes, first);
    if (headEnd === first + EMPTY_LINE && scan.blank === 0) {
      scan.blank = EMPTY_LINE;
      return this.parse(scan, bytes, start, end);
    }
    scan.reset();
    this.headEnd = headEnd;
    const fieldsStart = this.parseLine(bytes, first, headEnd);
    if (fieldsStart < 0) return -fieldsStart;
    return this.parseFields(bytes, fieldsStart);
  }

  /** Returns the position of the first field line, or a negative status code. */
  private parseLine(bytes: Uint8Array, start: number, headEnd: number): number {
    let i = start;
    while (bytes[i] > SPACE) i++;
    if (bytes[i] !== SPACE || !isToken(bytes, start, i)) return -400;
    const methodEnd = i++;
    this.targetStart = i;
    while (bytes[i] > SPACE && bytes[i] < 0x7f) i++;
    this.targetEnd = i;
    if (bytes[i] !== SPACE || i === this.targetStart) return -400;
    const version = i + 1;
    const lineEnd = version + VERSION_BYTES;
    if (lineEnd + 2 > headEnd || bytes[lineEnd] !== 0x0d) return -400;
    if (!isText(bytes, version, version + 5, VERSION) || bytes[version + 6] !== 0x2e) return -400;
    if (!isDigit(bytes[version + 5]) || !isDigit(bytes[version + 7])) return -400;
    if (bytes[version + 5] !== 0x31) return -505;
    this.minor = bytes[version + 7] === 0x30 ? 0 : 1;
    this.method = methodOf(bytes, start, methodEnd);
    return this.method === METHOD_UNKNOWN ? -501 : lineEnd + 2;
  }

  private parseFields(bytes: Uint8Array, at: number): number {
    const { fields } = this;
    let hosts = 0;
    let hasIfRange = false;
    this.expectsContinue = false;
    this.rangeStart = this.rangeEnd = 0;
    fields.begin(at, this.headEnd);
    for (;;) {
      const kind = fields.next(bytes);
      if (kind === FIELDS_END) break;
      if (kind === FIELD_BAD) return 400;
      if (kind === FIELDS_TOO_MANY) return 431;
      if (kind === FIELD_UNKNOWN_CODING) return 501;
      if (kind !== FIELD_OTHER) continue;
      if (fields.is(bytes, HOST)) hosts++;
      else if (fields.is(bytes, EXPECT)) {
        if (!isText(bytes, fields.valueStart, fields.valueEnd, CONTINUE)) return 417;
        this.expectsContinue = true;
      } else if (fields.is(bytes, RANGE)) {
        this.rangeStart = fields.valueStart;
        this.rangeEnd = fields.valueEnd;
      } else if (fields.is(bytes, IF_RANGE)) hasIfRange = true;
    }
    // Validators are not compared here: without a comparison the whole must be sent (RFC 9110, 13.1.5).
    if (hasIfRange) this.rangeEnd = this.rangeStart;
    return this.settle(hosts);
  }

  /** Checks what the fields say together. */
  private settle(hosts: number): number {
    const { fields } = this;
    // RFC 9112, 3.2.
    if (hosts > 1 || (hosts === 0 && this.minor === 1)) return 400;
    if (fields.isChunked) {
      // Two lengths, or a coding that HTTP/1.0 does not have: request smuggling (RFC 9112, 6.1).
      if (fields.contentLength !== NO_LENGTH || this.minor === 0) return 400;
      this.bodyLength = NO_LENGTH;
    } else if (fields.contentLength === NUMBER_TOO_LARGE) {
      return 413;
    } else {
      this.bodyLength = fields.contentLength === NO_LENGTH ? 0 : fields.contentLength;
    }
    // An HTTP/1.0 client cannot read a 100 (RFC 9110, 10.1.1).
    if (this.minor === 0) this.expectsContinue = false;
    this.isKeptAlive = !fields.hasClose && (this.minor === 1 || fields.hasKeepAlive);
    return REQUEST_COMPLETE;
  }
}

/** Returns 414 when not even the request line has ended within the limit, 431 otherwise. */
function tooLong(bytes: Uint8Array, start: number): number {
  for (let i = start; i < start + MAX_HEAD_BYTES; i++) {
    if (bytes[i] === LF) return 431;
  }
  return 414;
}

function methodOf(bytes: Uint8Array, from: number, end: number): number {
  for (let i = 0; i < METHODS.length; i++) {
    if (isText(bytes, from, end, METHODS[i])) return i < METHOD_OTHER ? i : METHOD_OTHER;
  }
  return METHOD_UNKNOWN;
}
