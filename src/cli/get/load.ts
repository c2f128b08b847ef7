/** The load generator: so many requests over so many connections at a time, as mTCP's epwget does. */
import { CLIENT_HANDLERS, type ClientOwner, type Failure, getRequest, HttpClient } from '../../apps/http/client.js';
import type { Tcp } from '../../tcpip/index.js';
import { Latencies, type LatencyUs } from './latencies.js';
import type { Target } from './target.js';

export interface LoadOptions {
  /** Connections that are open at the same time. */
  readonly connections: number;
  /** Requests of all connections together. */
  readonly requests: number;
  /** Whether a connection is used again. Otherwise each request has its own, and its time includes the handshake. */
  readonly keepAlive: boolean;
  /** How long a response may take. */
  readonly timeoutMs: number;
}

export interface LoadResult {
  readonly requests: number;
  /** Requests whose response came whole. */
  readonly done: number;
  readonly failed: number;
  readonly seconds: number;
  /** Bytes of content. */
  readonly bytes: number;
  /** Connections that were opened. */
  readonly connections: number;
  readonly latencyUs: LatencyUs;
  /** Number of responses by status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Number of failures by kind, and an example of each. */
  readonly errors: Readonly<Record<string, { readonly count: number; readonly example: string }>>;
}

const WATCH_MS = 100;

/** Handshakes at the same time. More would be a burst that rings and backlogs drop, and then a second is lost. */
const MAX_OPENING = 64;

/** A client, with the time at which its request began. */
class Worker extends HttpClient {
  begun = 0;
  /** Called once, when the handshake is over. */
  handshakeIsOver: () => void = () => {};

  override opened(): void {
    super.opened();
    this.handshakeIsOver();
  }
}

export class Load implements ClientOwner {
  readonly finished: Promise<LoadResult>;

  private readonly request: Uint8Array;
  private readonly workers = new Set<Worker>();
  private readonly latencies = new Latencies();
  private readonly statuses = new Map<number, number>();
  private readonly errors = new Map<string, { count: number; example: string }>();
  private readonly start = performance.now();
  private readonly watch: NodeJS.Timeout;
  private settle: (result: LoadResult) => void = () => {};
  private begun = 0;
  /** Of the connections that are open at the same time, those whose handshake has begun. */
  private started = 0;
  private completed = 0;
  private failures = 0;
  private bytes = 0;
  private opened = 0;
  private end = 0;

  constructor(
    private readonly tcp: Pick<Tcp, 'connect'>,
    private readonly target: Target,
    private readonly options: LoadOptions,
  ) {
    this.finished = new Promise((resolve) => {
      this.settle = resolve;
    });
    this.request = getRequest(target.host, target.path, options.keepAlive);
    this.watch = setInterval(() => this.look(), WATCH_MS);
    for (let i = 0; i < MAX_OPENING; i++) this.openFirst();
  }

  head({ response }: HttpClient): void {
    this.statuses.set(response.status, (this.statuses.get(response.status) ?? 0) + 1);
  }

  content(_client: HttpClient, _bytes: Uint8Array, _offset: number, length: number): void {
    this.bytes += length;
  }

  done(client: HttpClient): void {
    const worker = client as Worker;
    const now = performance.now();
    this.completed++;
    this.latencies.record(now - worker.begun);
    if (this.options.keepAlive && worker.canSend && this.begun < this.options.requests) {
      this.begun++;
      worker.begun = now;
      worker.send();
      return;
    }
    worker.end();
    this.next();
  }

  failed(_client: HttpClient, why: Failure, message: string): void {
    this.failures++;
    const known = this.errors.get(why);
    if (known === undefined) this.errors.set(why, { count: 1, example: message });
    else known.count++;
    // Not at once: a port that refuses would be asked in a circle.
    setImmediate(() => this.next());
  }

  closed(client: HttpClient): void {
    const worker = client as Worker;
    this.workers.delete(worker);
    worker.handshakeIsOver();
    if (this.isOver && this.workers.size === 0) this.finish();
  }

  /** Whether every request was answered or has failed. */
  get isOver(): boolean {
    return this.completed + this.failures === this.options.requests;
  }

  /** Opens one of the first connections, if there are any left. */
  private openFirst(): void {
    if (this.started === this.options.connections) return;
    this.started++;
    this.open();
  }

  private open(): void {
    if (this.begun === this.options.requests) return;
    this.begun++;
    this.opened++;
    const worker = new Worker(this.request, this);
    worker.begun = performance.now();
    worker.handshakeIsOver = () => {
      worker.handshakeIsOver = () => {};
      this.openFirst();
    };
    this.workers.add(worker);
    const { address, port } = this.target;
    try {
      worker.attach(this.tcp.connect({ address, port, noDelay: true }, CLIENT_HANDLERS));
    } catch (error) {
      this.workers.delete(worker);
      this.failed(worker, 'connect', (error as Error).message);
    }
  }

  /** Goes on after a request on a connection that is of no more use. */
  private next(): void {
    if (this.isOver) this.end ||= performance.now();
    this.open();
    if (this.isOver && this.workers.size === 0) this.finish();
  }

  private look(): void {
    const { timeoutMs } = this.options;
    const oldest = performance.now() - timeoutMs;
    for (const worker of this.workers) {
      if (worker.isBusy && worker.begun < oldest) worker.timeOut(`no response in ${timeoutMs / 1000} s`);
    }
    // The goodbyes of the connections are not measured, and not waited for without end.
    if (this.isOver && performance.now() - this.end > timeoutMs) this.finish();
  }

  private finish(): void {
    clearInterval(this.watch);
    this.settle({
      requests: this.options.requests,
      done: this.completed,
      failed: this.failures,
      seconds: (this.end - this.start) / 1000,
      bytes: this.bytes,
      connections: this.opened,
      latencyUs: this.latencies.summary(),
      statuses: Object.fromEntries(this.statuses),
      errors: Object.fromEntries(this.errors),
    });
  }
}
