/** Answers one request after the other on one connection. */
import { close } from 'node:fs';
import { CLOSE, errorAnswer, headOf, PAGE, textAnswer } from './answers.js';
import { FileBody } from './files/file-body.js';
import type { OpenFile } from './files/file-tree.js';
import { MAX_SMALL_BYTES, readSmall, type SmallFile } from './files/small-files.js';
import { PATTERN } from './pattern-body.js';
import type { PendingRequest } from './pending.js';
import { type ByteRange, readRange } from './ranges.js';
import { Sender } from './sender.js';
import type { HttpShared } from './shared.js';

const HTML = 'text/html; charset=utf-8';
const BINARY = 'application/octet-stream';
const ACCEPT_RANGES = 'Accept-Ranges: bytes\r\n';
/** Contents up to this size are sent with the head, from one array. */
const SMALL_BYTES = 4096;

/** What the connection does about its responses. */
export interface ResponderOwner {
  /** A response that was waited for is there, or more of it. Called from Node's event loop. */
  advance(): void;
  /** The response cannot be completed: the connection must end. */
  fail(): void;
}

export class Responder {
  readonly sender = new Sender();
  /** Whether the connection ends after the response that is being sent. */
  isLast = false;
  /** Set when the connection has ended: what arrives for an older one is dropped. */
  private serial = 0;

  constructor(
    private readonly shared: HttpShared,
    private readonly owner: ResponderOwner,
  ) {}

  reset(): void {
    this.serial++;
    this.isLast = false;
    this.sender.reset();
  }

  /** Sends a response that refuses a request. */
  error(status: number, connection: number, isHead: boolean, more = ''): void {
    this.shared.errors++;
    this.isLast = connection === CLOSE;
    this.sender.begin(errorAnswer(status, connection, more, isHead));
  }

  /** Begins the response to a request. Returns a whole response that may be sent again for the same request, or null. */
  answer(request: PendingRequest, contentBytes: number): Uint8Array | null {
    const { route, connection, isHead } = request;
    this.isLast = connection === CLOSE;
    if (route.kind === 'page') return this.whole(request, textAnswer(200, PAGE, connection, '', isHead, HTML));
    if (route.kind === 'bytes') return this.pattern(request, route.size);
    if (route.kind === 'sink') this.sink(request, contentBytes);
    else if (route.kind === 'file') return this.file(request, route.path);
    else this.error(route.status, connection, isHead, route.allow === undefined ? '' : `Allow: ${route.allow}\r\n`);
    return null;
  }

  private whole({ connection }: PendingRequest, response: Uint8Array): Uint8Array | null {
    this.sender.begin(response);
    return connection === CLOSE ? null : response;
  }

  private sink({ connection, hash }: PendingRequest, bytes: number): void {
    const result = hash === null ? { bytes } : { bytes, sha256: hash.digest('hex') };
    this.sender.begin(textAnswer(200, `${JSON.stringify(result)}\n`, connection, '', false, 'application/json'));
  }

  private pattern(request: PendingRequest, size: number): Uint8Array | null {
    const part = this.part(request, size);
    if (part === null) return null;
    const head = sizedHead(request, BINARY, part, size);
    if (request.range === '' && size <= SMALL_BYTES && !request.isHead) {
      return this.whole(request, Buffer.concat([head, PATTERN.subarray(0, size)]));
    }
    this.sender.begin(head);
    if (!request.isHead) this.sender.addPattern(part.start, part.end);
    return null;
  }

  /** Returns the part of a resource that was asked for. Null: there is none, which was answered. */
  private part({ range, connection, isHead }: PendingRequest, size: number): ByteRange | null {
    const part = range === '' ? 'all' : readRange(range, size);
    if (part === 'all') return { start: 0, end: size };
    if (part !== 'none') return part;
    this.error(416, connection, isHead, `Content-Range: bytes */${size}\r\n`);
    return null;
  }

  private file(request: PendingRequest, path: string): Uint8Array | null {
    const { serial, sender, shared } = this;
    const { connection, isHead } = request;
    const known = shared.smallFiles.get(path);
    if (known !== undefined) return this.smallFile(request, known);
    sender.hold();
    shared.files?.find(path, (found) => {
      if (serial !== this.serial) {
        if (typeof found === 'object') close(found.fd, () => {});
        return;
      }
      if (typeof found === 'number') this.error(found, connection, isHead);
      else if (typeof found === 'string') {
        sender.begin(textAnswer(301, `${found}\n`, connection, `Location: ${found}\r\n`, isHead));
      } else if (found.size <= MAX_SMALL_BYTES) {
        readSmall(found, (file) => this.smallFileRead(request, path, file, serial));
        return;
      } else this.sendFile(request, found);
      this.owner.advance();
    });
    return null;
  }

  private smallFileRead(request: PendingRequest, path: string, file: SmallFile | null, serial: number): void {
    if (file !== null) this.shared.smallFiles.keep(path, file);
    if (serial !== this.serial) return;
    if (file === null) this.error(500, request.connection, request.isHead);
    else this.smallFile(request, file);
    this.owner.advance();
  }

  private smallFile(request: PendingRequest, { content, type, modified }: SmallFile): Uint8Array | null {
    const part = this.part(request, content.length);
    if (part === null) return null;
    const head = sizedHead(request, type, part, content.length, modified);
    const response = request.isHead ? head : Buffer.concat([head, content.subarray(part.start, part.end)]);
    if (request.range === '') return this.whole(request, response);
    this.sender.begin(response);
    return null;
  }

  private sendFile(request: PendingRequest, file: OpenFile): void {
    const part = this.part(request, file.size);
    if (part !== null) this.sender.begin(sizedHead(request, file.type, part, file.size, file.modified));
    if (part === null || request.isHead) {
      close(file.fd, () => {});
      return;
    }
    const { serial, owner } = this;
    const ready = (error: Error | null): void => {
      if (serial !== this.serial) return;
      if (error === null) owner.advance();
      else owner.fail();
    };
    this.sender.addFile(new FileBody(file.fd, part.start, part.end - part.start, ready));
  }
}

/** Returns the head of a response with a part of a resource, or all of it. */
function sizedHead(
  { connection }: PendingRequest,
  type: string,
  { start, end }: ByteRange,
  size: number,
  modified?: string,
): Buffer {
  const isPart = end - start !== size;
  const range = isPart ? `Content-Range: bytes ${start}-${end - 1}/${size}\r\n` : '';
  const date = modified === undefined ? '' : `Last-Modified: ${modified}\r\n`;
  return Buffer.from(headOf(isPart ? 206 : 200, type, end - start, connection, ACCEPT_RANGES + range + date), 'latin1');
}
