/** One GET request, whose content goes to an output. */
import { CLIENT_HANDLERS, type ClientOwner, type Failure, getRequest, HttpClient } from '../../apps/http/client.js';
import type { Tcp } from '../../tcpip/index.js';
import type { Output } from './output.js';
import type { Target } from './target.js';

export interface DownloadResult {
  readonly status: number;
  /** Bytes of content. */
  readonly bytes: number;
  /** Seconds from the call of `connect` to the last byte. */
  readonly seconds: number;
  /** Segments that we have sent again. */
  readonly retransmitted: number;
}

/** A download that failed; the message says why. */
export class DownloadError extends Error {}

const WATCH_MS = 100;

export class Download implements ClientOwner {
  readonly finished: Promise<DownloadResult>;
  received = 0;
  /** Bytes of the whole content, -1 when the server does not say. */
  total = -1;

  private readonly client: HttpClient;
  private settle: (result: DownloadResult | DownloadError) => void = () => {};
  private closedAt: () => void = () => {};
  private readonly start = performance.now();
  private lastProgress = performance.now();
  private isPaused = false;
  private readonly watch: NodeJS.Timeout;
  private retransmitted = 0;
  /** Resolves when the connection has gone. */
  readonly gone: Promise<void>;

  /** @param timeoutMs how long the server may be silent */
  constructor(
    tcp: Pick<Tcp, 'connect'>,
    private readonly target: Target,
    private readonly timeoutMs: number,
    private readonly output: Output,
  ) {
    this.finished = new Promise((resolve, reject) => {
      this.settle = (result) => (result instanceof Error ? reject(result) : resolve(result));
    });
    this.gone = new Promise((resolve) => {
      this.closedAt = resolve;
    });
    this.client = new HttpClient(getRequest(target.host, target.path, false), this);
    this.watch = setInterval(() => this.look(), WATCH_MS);
    try {
      this.client.attach(tcp.connect({ address: target.address, port: target.port }, CLIENT_HANDLERS));
    } catch (error) {
      // There is no route, or no port.
      this.finish(new DownloadError((error as Error).message));
      this.closedAt();
    }
  }

  /** The output has room again, or has failed. */
  drained(): void {
    if (this.output.error !== null) {
      this.finish(new DownloadError(`cannot write the content: ${this.output.error.message}`));
      this.client.end();
    } else if (this.isPaused) {
      this.isPaused = false;
      this.lastProgress = performance.now();
      this.client.c?.resume();
    }
  }

  head({ response }: HttpClient): void {
    this.lastProgress = performance.now();
    const { status, reason } = response;
    this.total = response.contentLength;
    if (status >= 200 && status <= 299) return;
    const hint = status >= 300 && status <= 399 ? ' (redirects are not followed)' : '';
    this.finish(new DownloadError(`${status} ${reason}${hint}`));
    this.client.end();
  }

  content(client: HttpClient, bytes: Uint8Array, offset: number, length: number): void {
    if (client.response.status > 299) return;
    this.lastProgress = performance.now();
    this.received += length;
    if (this.output.isTerminal && bytes.subarray(offset, offset + length).includes(0)) {
      this.finish(new DownloadError('the content is binary: write it to a file with --output FILE'));
      client.end();
    } else if (!this.output.write(bytes, offset, length) && !this.isPaused) {
      this.isPaused = true;
      client.c?.pause();
    }
  }

  done({ response, c }: HttpClient): void {
    this.retransmitted = c?.info().retransmitted ?? 0;
    const seconds = (performance.now() - this.start) / 1000;
    this.finish({ status: response.status, bytes: this.received, seconds, retransmitted: this.retransmitted });
    this.client.end();
  }

  failed(_client: HttpClient, _why: Failure, message: string): void {
    this.finish(new DownloadError(message));
  }

  closed(): void {
    this.closedAt();
  }

  private look(): void {
    const silent = performance.now() - this.lastProgress;
    // While the output takes nothing, the server is not to blame.
    if (this.isPaused || silent < this.timeoutMs) return;
    const { address, port } = this.target;
    const what = this.received > 0 ? `sent nothing more after ${this.received} bytes` : 'did not answer';
    this.client.timeOut(`${address} port ${port} ${what} in ${this.timeoutMs / 1000} s`);
  }

  private finish(result: DownloadResult | DownloadError): void {
    clearInterval(this.watch);
    this.settle(result);
  }
}
