/**
 * The head of an HTTP/1.1 message (RFC 9112, 2): finding its end, and reading its field lines. Servers and clients
 * share this; only the first line differs.
 */
import {
  ascii,
  COLON,
  COMMA,
  CR,
  isFieldByte,
  isName,
  isToken,
  LF,
  NO_NUMBER,
  readDecimal,
  SPACE,
  TAB,
} from './ascii.js';

/** Results of {@link HeadScan.find}, other than the end of the head. */
export const HEAD_INCOMPLETE = -1;
/** A line ended with LF alone, or a CR was not followed by LF. */
export const HEAD_MALFORMED = -2;

/** Finds the empty line that ends a head, in bytes that arrive in pieces. No byte is looked at twice. */
export class HeadScan {
  /** Bytes of the head that were looked at. */
  private scanned = 0;
  /** Bytes of the current line, without its CR LF. */
  private line = 0;
  private isAfterCr = false;
  /** Bytes of an empty line before the head. Servers ignore one (RFC 9112, 2.2). */
  blank = 0;

  /** Whether bytes of an unfinished head were looked at. */
  get hasBegun(): boolean {
    return this.scanned > 0;
  }

  reset(): void {
    this.blank = 0;
    this.restart();
  }

  private restart(): void {
    this.scanned = 0;
    this.line = 0;
    this.isAfterCr = false;
  }

  /**
   * Looks for the end of the head that begins at `start`. The caller repeats it with the same head and more bytes.
   * @returns the position after the empty line, or {@link HEAD_INCOMPLETE} or {@link HEAD_MALFORMED}
   */
  find(bytes: Uint8Array, start: number, end: number): number {
    let { line, isAfterCr } = this;
    for (let i = start + this.scanned; i < end; i++) {
      const byte = bytes[i];
      if (isAfterCr) {
        if (byte !== LF) return HEAD_MALFORMED;
        if (line === 0) {
          this.restart();
          return i + 1;
        }
        isAfterCr = false;
        line = 0;
      } else if (byte === CR) {
        isAfterCr = true;
      } else if (byte === LF) {
        return HEAD_MALFORMED;
      } else {
        line++;
      }
    }
    this.scanned = end - start;
    this.line = line;
    this.isAfterCr = isAfterCr;
    return HEAD_INCOMPLETE;
  }
}

const CONTENT_LENGTH = ascii('content-length');
const TRANSFER_ENCODING = ascii('transfer-encoding');
const CONNECTION = ascii('connection');
const CHUNKED = ascii('chunked');
const CLOSE = ascii('close');
const KEEP_ALIVE = ascii('keep-alive');

/** What a field line of {@link HeadFields} is. */
export const FIELD_OTHER = 0;
/** It belongs to the framing of the message, and was read. */
export const FIELD_FRAMING = 1;
/** There is no more field line. */
export const FIELDS_END = 2;
/** The line is malformed, or contradicts another one. */
export const FIELD_BAD = 3;
/** The head has more field lines than the limit. */
export const FIELDS_TOO_MANY = 4;
/** The transfer coding is not `chunked` alone. */
export const FIELD_UNKNOWN_CODING = 5;

/** No `Content-Length` was given. */
export const NO_LENGTH = -1;

/** Reads the field lines of a head one after the other, and what they say about the framing of the message. */
export class HeadFields {
  /** The current field: positions in the bytes. */
  nameStart = 0;
  nameEnd = 0;
  valueStart = 0;
  valueEnd = 0;

  /** `Content-Length`, {@link NO_LENGTH}, or NUMBER_TOO_LARGE. */
  contentLength = NO_LENGTH;
  isChunked = false;
  hasClose = false;
  hasKeepAlive = false;

  private at = 0;
  private end = 0;
  private left = 0;

  /** @param limit how many field lines a head may have */
  constructor(private readonly limit: number) {}

  /** Begins at the first field line. `end` is the position after the empty line. */
  begin(at: number, end: number): void {
    this.at = at;
    this.end = end - 2;
    this.left = this.limit;
    this.contentLength = NO_LENGTH;
    this.isChunked = false;
    this.hasClose = false;
    this.hasKeepAlive = false;
  }

  /** Reads the next field line. Returns one of the `FIELD` constants. */
  next(bytes: Uint8Array): number {
    if (this.at >= this.end) return FIELDS_END;
    if (this.left === 0) return FIELDS_TOO_MANY;
    this.left--;
    let i = this.at;
    this.nameStart = i;
    while (bytes[i] !== COLON && bytes[i] !== CR) i++;
    // A name with a space after it, or a folded line, is an attack on servers that read it in another way (RFC 9112, 5).
    if (bytes[i] !== COLON || !isToken(bytes, this.nameStart, i)) return FIELD_BAD;
    this.nameEnd = i++;
    while (bytes[i] === SPACE || bytes[i] === TAB) i++;
    this.valueStart = i;
    while (isFieldByte(bytes[i])) i++;
    if (bytes[i] !== CR) return FIELD_BAD;
    this.at = i + 2;
    while (i > this.valueStart && (bytes[i - 1] === SPACE || bytes[i - 1] === TAB)) i--;
    this.valueEnd = i;
    return this.readFraming(bytes);
  }

  private readFraming(bytes: Uint8Array): number {
    if (this.is(bytes, CONTENT_LENGTH)) {
      const value = readDecimal(bytes, this.valueStart, this.valueEnd);
      // A second one must say the same (RFC 9112, 6.3).
      if (value === NO_NUMBER || (this.contentLength !== NO_LENGTH && this.contentLength !== value)) return FIELD_BAD;
      this.contentLength = value;
      return FIELD_FRAMING;
    }
    if (this.is(bytes, TRANSFER_ENCODING)) {
      if (this.isChunked) return FIELD_BAD;
      if (!isName(bytes, this.valueStart, this.valueEnd, CHUNKED)) return FIELD_UNKNOWN_CODING;
      this.isChunked = true;
      return FIELD_FRAMING;
    }
    if (!this.is(bytes, CONNECTION)) return FIELD_OTHER;
    this.readConnection(bytes);
    return FIELD_FRAMING;
  }

  /** Whether the current field has this name, which is in lower case. */
  is(bytes: Uint8Array, lower: Uint8Array): boolean {
    return isName(bytes, this.nameStart, this.nameEnd, lower);
  }

  /** `Connection` is a list (RFC 9110, 7.6.1). */
  private readConnection(bytes: Uint8Array): void {
    let from = this.valueStart;
    for (let i = from; i <= this.valueEnd; i++) {
      if (i < this.valueEnd && bytes[i] !== COMMA) continue;
      let end = i;
      while (from < end && (bytes[from] === SPACE || bytes[from] === TAB)) from++;
      while (end > from && (bytes[end - 1] === SPACE || bytes[end - 1] === TAB)) end--;
      if (isName(bytes, from, end, CLOSE)) this.hasClose = true;
      else if (isName(bytes, from, end, KEEP_ALIVE)) this.hasKeepAlive = true;
      from = i + 1;
    }
  }
}
