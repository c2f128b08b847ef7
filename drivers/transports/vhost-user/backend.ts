/**
 * A vhost-user backend: the port of a switch, to which a QEMU guest, DPDK's virtio-user or our own frontend connects.
 * It listens on a socket, or connects to one on which the frontend listens. Peers may come and go at any time, one at a
 * time, while the port stays.
 *
 * Source: QEMU, docs/interop/vhost-user.rst.
 */
import {
  abi,
  CLOSE_PATIENCE_MS,
  type Closer,
  connectUnix,
  FileCloser,
  finishClosing,
  type Reactor,
  SystemError,
  unclosed,
} from '../../libc/index.js';
import type { WindowAllocator } from '../../memory/index.js';
import { PORT_OFFLOADS } from '../../offloads.js';
import type { DeviceRxQueue } from '../../virtio/device/rx-queue.js';
import { SignalPacer } from '../../virtio/device/signal-pacer.js';
import { SoftwareOffload } from '../../virtio/device/software-offload.js';
import type { DeviceTxQueue } from '../../virtio/device/tx-queue.js';
import { ListeningSocket, type SocketPlace } from './listening-socket.js';
import type { PeerFiles } from './peer-memory.js';
import { QueuePair } from './queue-pair.js';
import { type SessionOptions, VhostUserSession } from './session.js';
import type { NoticeKind } from './session-events.js';

/** The ring index of vhost-user messages has 8 bits. */
const MAX_QUEUE_PAIRS = 128;
const FIRST_RETRY_MS = 200;
/** Short enough that both sides are connected again well within a second. */
const LAST_RETRY_MS = 400;

export interface VhostUserBackendOptions {
  /** Path of the unix socket. */
  readonly path: string;
  /** Watches the socket and the kicks. It stays the caller's. */
  readonly reactor: Reactor;
  /** Provides the room for the peer's memory. Ports between which packets are copied should share one allocator. */
  readonly windows: WindowAllocator;
  /** Connect to the frontend's socket, and again whenever the connection ends, instead of creating the socket. */
  readonly client?: boolean;
  /** Default: 1. */
  readonly queuePairs?: number;
  /**
   * Which files the peer's memory may be of. Default: `any`; with files that are not sealed, a peer can end this
   * process.
   */
  readonly files?: PeerFiles;
  /** Closes the file descriptors that peers sent or have. Default: threads of the port's own. */
  readonly closer?: Closer;
  /** For messages; `vhost-user:PATH` by default. */
  readonly name?: string;
  /** Offloads that are offered to the peer, in both directions: OFFLOAD_ bits. Default: {@link PORT_OFFLOADS}. */
  readonly offloads?: number;
}

export class VhostUserBackend {
  readonly name: string;
  /** The queue pairs as the switch uses them. They stay the same objects for as long as the backend lives. */
  readonly pairs: readonly QueuePair[];
  /** Called on the event loop when a ring was kicked, after the pair's own onKick. */
  onKick: (() => void) | null = null;
  /** Called when queues appeared or disappeared. */
  onChange: (() => void) | null = null;
  /** Called when a peer has connected ('up') or gone ('down'), with a line that says which and why. */
  onLink: ((state: 'up' | 'down', reason: string) => void) | null = null;
  /** Called with a line about a fault that was survived, and its kind. A peer can cause any number of them. */
  onNotice: ((line: string, kind: NoticeKind) => void) | null = null;

  private readonly sessionOptions: SessionOptions;
  private readonly reactor: Reactor;
  private readonly path: string;
  private listener: ListeningSocket | null = null;
  private session: VhostUserSession | null = null;
  /** Whether the peer is gone and its file descriptors are being closed. */
  private isReleasing = false;
  private retry: NodeJS.Timeout | null = null;
  private retryMs = FIRST_RETRY_MS;
  /** The reason, as last reported, why a waiting peer is not served. */
  private refused = '';
  private closing: Promise<void> | null = null;

  /** Creates the socket (mode 0600), or begins to connect. Throws when the socket cannot be created. */
  constructor(options: VhostUserBackendOptions) {
    const {
      path,
      reactor,
      windows,
      client = false,
      queuePairs = 1,
      name = `vhost-user:${path}`,
      files = 'any',
      closer = new FileCloser(),
      offloads = PORT_OFFLOADS,
    } = options;
    if (!(Number.isInteger(queuePairs) && queuePairs >= 1 && queuePairs <= MAX_QUEUE_PAIRS)) {
      throw new RangeError(`${name}: ${queuePairs} queue pairs; possible are 1 to ${MAX_QUEUE_PAIRS}`);
    }
    this.name = name;
    this.path = path;
    this.reactor = reactor;
    this.pairs = Array.from({ length: queuePairs }, (_, i) => new QueuePair(`${name} queue pair ${i}`));
    const signals = new SignalPacer();
    signals.onSlow = (line) => this.onNotice?.(`${name}: ${line}`, 'slow signals');
    const software = new SoftwareOffload(windows);
    this.sessionOptions = { name, reactor, windows, pairs: this.pairs, files, signals, closer, offloads, software };
    if (client) this.dial();
    else this.listen();
  }

  /**
   * True from the connection of a peer until it is gone and has got everything back. Its queues may not have started
   * yet.
   */
  get connected(): boolean {
    return this.session !== null || this.isReleasing;
  }

  /**
   * Whether peers find the port's socket at its path. Always `here` for a client, which has no socket. Costs one
   * lstat(2).
   */
  get socketPlace(): SocketPlace {
    return this.listener === null ? 'here' : this.listener.place();
  }

  /** The MTU that the peer has set, in bytes; 0 when it has set none. */
  get mtu(): number {
    return this.session?.mtu ?? 0;
  }

  /** True while a started transmit queue has no kick file descriptor, because its driver never kicks. */
  get pollOnly(): boolean {
    return this.pairs.some((pair) => pair.pollOnly);
  }

  /** The driver's transmit queue, from which frames are taken; `null` unless it is both started and enabled. */
  txQueue(pair: number): DeviceTxQueue | null {
    return this.pairs[pair]?.txQueue ?? null;
  }

  /** The driver's receive queue, into which frames are put; `null` unless it is both started and enabled. */
  rxQueue(pair: number): DeviceRxQueue | null {
    return this.pairs[pair]?.rxQueue ?? null;
  }

  /** Number of file descriptors that peers sent or have and that are not closed yet. At 1024 the port takes no peer. */
  get unclosedDescriptors(): number {
    return this.sessionOptions.closer.pending;
  }

  /**
   * Disconnects the peer, unmaps its memory and removes the socket. Resolves when the peer's file descriptors are
   * closed, too, or after a second without progress; then a warning of the process says how many are left.
   */
  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    if (this.retry !== null) clearTimeout(this.retry);
    const hadPeer = this.session !== null;
    this.session?.dispose();
    this.session = null;
    this.sessionOptions.signals.close();
    this.sessionOptions.software.close();
    if (this.listener !== null) {
      this.reactor.unwatch(this.listener.fd);
      this.listener.close();
    }
    if (hadPeer) this.onLink?.('down', `${this.name}: closed`);
    await finishClosing(this.sessionOptions.closer, this.name);
  }

  private listen(): void {
    const listener = new ListeningSocket(this.path, this.name, this.sessionOptions.closer);
    this.listener = listener;
    try {
      this.awaitPeer(listener);
    } catch (error) {
      listener.close();
      throw error;
    }
  }

  /** One peer at a time: while it is served, the listener is not watched, and others wait in its backlog. */
  private awaitPeer(listener: ListeningSocket): void {
    this.retry = null;
    this.reactor.watch(listener.fd, abi.EPOLLIN, () => this.acceptPeer(listener));
  }

  private acceptPeer(listener: ListeningSocket): void {
    try {
      if (this.sessionOptions.closer.isFull) throw new Error(unclosed(this.unclosedDescriptors));
      const fd = listener.accept();
      if (fd === null) return;
      this.reactor.unwatch(listener.fd);
      this.serve(fd, 'a peer has connected');
      this.refused = '';
    } catch (error) {
      // No file descriptor is free (EMFILE), or no memory. The other ports go on, and this one tries again later.
      this.reactor.unwatch(listener.fd);
      this.refuse((error as Error).message);
      this.retry = setTimeout(() => this.awaitPeer(listener), LAST_RETRY_MS);
    }
  }

  /** Reports once why no peer is served. */
  private refuse(reason: string): void {
    if (this.refused !== reason) {
      this.onNotice?.(`${this.name}: a peer cannot be served now: ${reason}`, 'unserved peer');
    }
    this.refused = reason;
  }

  private dial(): void {
    this.retry = null;
    if (this.sessionOptions.closer.isFull) {
      this.refuse(unclosed(this.unclosedDescriptors));
      this.redial();
      return;
    }
    let fd: number;
    try {
      fd = connectUnix(this.path);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      const line = `${this.name}: no frontend yet: ${error.message}`;
      if (this.retryMs === FIRST_RETRY_MS) queueMicrotask(() => this.onNotice?.(line, 'no frontend'));
      this.redial();
      return;
    }
    this.retryMs = FIRST_RETRY_MS;
    try {
      this.serve(fd, 'connected to the frontend');
      this.refused = '';
    } catch (error) {
      // As in acceptPeer: the kernel has no memory for the connection now.
      this.refuse((error as Error).message);
      this.redial();
    }
  }

  private redial(): void {
    this.retry = setTimeout(() => this.dial(), this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, LAST_RETRY_MS);
  }

  private serve(fd: number, how: string): void {
    const session = new VhostUserSession(fd, this.sessionOptions, {
      onKick: (pair) => {
        pair.onKick?.();
        this.onKick?.();
      },
      onChange: () => this.onChange?.(),
      onClose: (reason) => this.lost(reason),
      onNotice: (line, kind) => this.onNotice?.(line, kind),
    });
    this.session = session;
    // The first connection is made in the constructor, before the caller can set the callbacks.
    queueMicrotask(() => {
      if (this.session === session) this.onLink?.('up', `${this.name}: ${how}`);
    });
  }

  private lost(reason: string): void {
    this.session?.dispose();
    this.session = null;
    this.isReleasing = true;
    this.sessionOptions.closer.settled(CLOSE_PATIENCE_MS).then((left) => this.awaitNext(reason, left));
  }

  /** The peer is gone. All that it had is closed, except `left` file descriptors; its memory is free for others. */
  private awaitNext(reason: string, left: number): void {
    this.isReleasing = false;
    this.onLink?.('down', `${this.name}: the peer is gone: ${reason}`);
    if (left > 0) this.onNotice?.(`${this.name}: ${unclosed(left)}`, 'hanging close');
    if (this.closing !== null) return;
    if (this.listener !== null) this.awaitPeer(this.listener);
    else this.redial();
  }
}
