/** The TCP part of the demo: an HTTP download whose hash is checked. */
import { createHash } from 'node:crypto';
import { CLIENT_HANDLERS, type ClientOwner, type Failure, getRequest, HttpClient } from '../../src/apps/http/client.js';
import { PATTERN, PATTERN_BYTES } from '../../src/apps/http/pattern-body.js';
import type { TcpIp } from '../../src/tcpip/index.js';

export interface FetchResult {
  bytes: number;
  seconds: number;
  hashOk: boolean;
}

const HTTP_PORT = 80;
/**
 * Fewer segments than the receive ring has buffers. A larger window would be faster alone, and lose packets whenever
 * this process does not run for a moment.
 */
const RECEIVE_BUFFER = 256 * 1024;

/** Gets `/bytes/N` from a server. */
export class Fetch implements ClientOwner {
  private readonly hash = createHash('sha256');
  private readonly start = performance.now();
  private bytes = 0;

  /** @param done called once; `failure` says why the download is not complete */
  constructor(
    { tcp }: TcpIp,
    address: string,
    private readonly size: number,
    private readonly told: (result: FetchResult, failure: string | null) => void,
  ) {
    const client = new HttpClient(getRequest(address, `/bytes/${size}`, false), this);
    client.attach(tcp.connect({ address, port: HTTP_PORT, receiveBuffer: RECEIVE_BUFFER }, CLIENT_HANDLERS));
  }

  head(): void {}

  content(_client: HttpClient, bytes: Uint8Array, offset: number, length: number): void {
    this.bytes += length;
    this.hash.update(bytes.subarray(offset, offset + length));
  }

  done(client: HttpClient): void {
    this.finish(null);
    client.end();
  }

  failed(_client: HttpClient, _why: Failure, message: string): void {
    this.finish(message);
  }

  closed(): void {}

  private finish(failure: string | null): void {
    const seconds = (performance.now() - this.start) / 1000;
    const hashOk = this.hash.digest('hex') === hashOfPattern(this.size);
    this.told({ bytes: this.bytes, seconds, hashOk }, failure);
  }
}

/** Returns the hash of the content that the server must have sent. */
function hashOfPattern(size: number): string {
  const hash = createHash('sha256');
  for (let at = 0; at < size; at += PATTERN_BYTES) hash.update(PATTERN.subarray(0, Math.min(PATTERN_BYTES, size - at)));
  return hash.digest('hex');
}
