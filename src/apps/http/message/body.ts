/** The body of an HTTP/1.1 message: where it ends, and which of its bytes are content (RFC 9112, 6 and 7.1). */
import { COLON, CR, hexDigit, LF, SEMICOLON, SPACE, TAB } from './ascii.js';

/** Takes content where it lies. The bytes are valid during the call. */
export interface ContentSink {
  content(bytes: Uint8Array, offset: number, length: number): void;
}

/** Longest line of a chunk with its extensions, and longest trailer section, in bytes. */
const MAX_CHUNK_LINE = 4096;
/** Digits of a chunk's length: 12 make a safe integer. */
const MAX_SIZE_DIGITS = 12;

const LENGTH = 0;
const UNTIL_CLOSE = 1;
const CHUNK_SIZE = 2;
const CHUNK_EXTENSION = 3;
const CHUNK_SIZE_LF = 4;
const CHUNK_DATA = 5;
const CHUNK_DATA_CR = 6;
const CHUNK_DATA_LF = 7;
const TRAILER_START = 8;
const TRAILER = 9;
const TRAILER_LF = 10;
const LAST_LF = 11;
const DONE = 12;
const MALFORMED = 13;

/** Result of {@link BodyReader.consume} when the body is malformed. */
export const BODY_MALFORMED = -1;

export class BodyReader {
  /** Bytes of content until now. */
  received = 0;

  private state = DONE;
  /** Bytes that are left of the body, or of the chunk. */
  private left = 0;
  private digits = 0;
  /** Bytes of the chunk's line or of the trailer section. */
  private line = 0;

  /** Begins a body of a known length. */
  beginLength(length: number): void {
    this.received = 0;
    this.left = length;
    this.state = length === 0 ? DONE : LENGTH;
  }

  beginChunked(): void {
    this.received = 0;
    this.beginChunk();
  }

  /** Begins a body that ends with the connection. */
  beginUntilClose(): void {
    this.received = 0;
    this.state = UNTIL_CLOSE;
  }

  get isDone(): boolean {
    return this.state === DONE;
  }

  /** Whether the end of the connection completes the body. */
  get endsWithConnection(): boolean {
    return this.state === UNTIL_CLOSE;
  }

  /**
   * Takes bytes of the body, and gives its content to `sink`.
   * @returns the position after the last byte that belongs to the body, or {@link BODY_MALFORMED}
   */
  consume(bytes: Uint8Array, from: number, end: number, sink: ContentSink): number {
    let at = from;
    while (at < end && this.state !== DONE && this.state !== MALFORMED) {
      if (this.state === LENGTH || this.state === CHUNK_DATA) {
        at = this.take(bytes, at, end, sink);
      } else if (this.state === UNTIL_CLOSE) {
        this.received += end - at;
        sink.content(bytes, at, end - at);
        at = end;
      } else {
        this.step(bytes[at++]);
      }
    }
    return this.state === MALFORMED ? BODY_MALFORMED : at;
  }

  private take(bytes: Uint8Array, at: number, end: number, sink: ContentSink): number {
    const length = Math.min(this.left, end - at);
    this.left -= length;
    this.received += length;
    if (this.left === 0) this.state = this.state === LENGTH ? DONE : CHUNK_DATA_CR;
    sink.content(bytes, at, length);
    return at + length;
  }

  private beginChunk(): void {
    this.state = CHUNK_SIZE;
    this.left = 0;
    this.digits = 0;
    this.line = 0;
  }

  /** Takes one byte between the chunks. */
  private step(byte: number): void {
    if (++this.line > MAX_CHUNK_LINE) this.state = MALFORMED;
    else if (this.state === CHUNK_SIZE) this.sizeByte(byte);
    else if (this.state === CHUNK_EXTENSION) this.lineByte(byte, CHUNK_SIZE_LF);
    else if (this.state === CHUNK_SIZE_LF) this.sizeEnd(byte);
    else if (this.state === CHUNK_DATA_CR) this.state = byte === CR ? CHUNK_DATA_LF : MALFORMED;
    else if (this.state === CHUNK_DATA_LF) {
      if (byte === LF) this.beginChunk();
      else this.state = MALFORMED;
    } else if (this.state === TRAILER_START) {
      if (byte === CR) this.state = LAST_LF;
      else if (byte === COLON || byte === SPACE || byte === TAB || byte === LF) this.state = MALFORMED;
      else this.state = TRAILER;
    } else if (this.state === TRAILER) this.lineByte(byte, TRAILER_LF);
    else if (this.state === TRAILER_LF) this.state = byte === LF ? TRAILER_START : MALFORMED;
    else this.state = byte === LF ? DONE : MALFORMED;
  }

  private sizeByte(byte: number): void {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      this.left = this.left * 16 + digit;
      if (++this.digits > MAX_SIZE_DIGITS) this.state = MALFORMED;
    } else if (this.digits === 0) this.state = MALFORMED;
    else if (byte === CR) this.state = CHUNK_SIZE_LF;
    else if (byte === SEMICOLON || byte === SPACE || byte === TAB) this.state = CHUNK_EXTENSION;
    else this.state = MALFORMED;
  }

  /** Takes one byte of a line whose text does not matter. */
  private lineByte(byte: number, next: number): void {
    if (byte === CR) this.state = next;
    else if (byte === LF || byte === 0) this.state = MALFORMED;
  }

  private sizeEnd(byte: number): void {
    if (byte !== LF) this.state = MALFORMED;
    else if (this.left > 0) this.state = CHUNK_DATA;
    else {
      this.line = 0;
      this.state = TRAILER_START;
    }
  }
}
