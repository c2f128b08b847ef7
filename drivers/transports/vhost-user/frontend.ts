/**
 * The vhost-user frontend: a virtio device that is reached through a unix socket, without a VM (DPDK calls this
 * virtio-user). The backend (BESS, OVS-DPDK, DPDK's vhost, the embedded switch) maps our packet memory and works on it
 * in place. The backend listens on the socket and we connect, or the other way round (OVS: dpdkvhostuserclient; DPDK's
 * virtio-user: server=1).
 *
 * Source: QEMU, docs/interop/vhost-user.rst. A ring starts at its first kick and is enabled by SET_VRING_ENABLE.
 */
import { statSync } from 'node:fs';
import { abi, type Closer, connectUnix, FileCloser, finishClosing, Reactor, SystemError } from '../../libc/index.js';
import { type AddressSpace, LinearAddressSpace, type PacketMemory } from '../../memory/index.js';
import type { StopSignal } from '../../stop-signal.js';
import {
  VHOST_USER_F_PROTOCOL_FEATURES,
  VIRTIO_F_RING_PACKED,
  VIRTIO_STATUS_DRIVER_OK,
} from '../../virtio/features.js';
import type { Doorbell, QueueLayout, TransportEvents, VirtioTransport } from '../../virtio/transport.js';
import { type Message, VhostUserChannel } from './channel.js';
import { ListeningSocket } from './listening-socket.js';
import * as p from './protocol.js';
import { QueueEventfds } from './queue-eventfds.js';
import { PendingReplies } from './replies.js';

const R = p.VhostUserRequest;
/** Where the device sees our memory. Any value would do; a low one keeps addresses easy to read. */
const IOVA_BASE = 0x4000_0000;
const QUEUE_PAIR = 2;
/** As large as any queue may be. vhost-user has no message to ask the backend for its limit. */
const MAX_QUEUE_SIZE = 32768;
const PROTOCOL_FEATURES_WANTED = p.PROTOCOL_F_REPLY_ACK | p.PROTOCOL_F_CONFIG | p.PROTOCOL_F_STATUS;
const CONFIG_HEAD_BYTES = 12;
/** How long a backend may take to stop a ring, in ms. A backend that hangs must not delay the end of the process. */
const STOP_MS = 500;
/** Base of a packed ring: index 0, with the wrap counter (bit 15) at 1 (virtio 1.2, 2.8.1). */
const PACKED_BASE = 0x8000;

export interface VhostUserFrontendOptions {
  /**
   * Create the socket and wait for a backend to connect, for as long as it takes. Default: connect to the backend's
   * socket.
   */
  readonly server?: boolean;
  /** Ends the wait for the first backend: connect() then rejects. */
  readonly signal?: StopSignal | undefined;
  /** Called with a line when the wait for the first backend begins. */
  readonly onWait?: ((line: string) => void) | undefined;
  /** Closes the file descriptors that the backend sent or has. Default: threads of the frontend's own. */
  readonly closer?: Closer;
}

export class VhostUserFrontend implements VirtioTransport {
  readonly name: string;
  readonly canReconnect = true;
  /** A backend serves only the two rings of the pair. Control queues end in the VMM that carries vhost-user. */
  readonly hasControlQueue = false;
  readonly pollOnly = false;
  readonly transportFeatures = 0n;
  private reactor: Reactor | null = null;
  private channel: VhostUserChannel | null = null;
  private replies = new PendingReplies('');
  private memory: PacketMemory | null = null;
  private events: TransportEvents | null = null;
  private queues = new Map<number, QueueEventfds>();
  private offered = 0n;
  private protocolFeatures = 0n;
  private status = 0;
  private packed = false;
  private listener: ListeningSocket | null = null;
  /** With server=1: whether no backend has connected yet. */
  private isFirstWait = true;
  private endWait: (reason: string) => void = () => {};
  private keepsAlive = true;
  private readonly closer: Closer;

  /** @param path path of the socket */
  constructor(
    private readonly path: string,
    private readonly options: VhostUserFrontendOptions = {},
  ) {
    this.name = `vhost-user:${path}${options.server ? ',server=1' : ''}`;
    this.closer = options.closer ?? new FileCloser();
  }

  get hasConfig(): boolean {
    return (this.protocolFeatures & p.PROTOCOL_F_CONFIG) !== 0n;
  }

  async connect(memory: PacketMemory, events: TransportEvents): Promise<void> {
    this.memory = memory;
    this.events = events;
    this.replies = new PendingReplies(this.name);
    // Nothing from an earlier connection is valid: the next backend may be a different one.
    this.offered = 0n;
    this.protocolFeatures = 0n;
    this.status = 0;
    const fd = this.options.server ? await this.awaitBackend() : this.dial();
    try {
      this.reactor ??= this.openReactor();
    } catch (error) {
      this.closer.close(fd);
      throw error;
    }
    const handlers = {
      onMessage: (message: Message) => this.replies.settle(message),
      onClose: (reason: string) => this.lost(channel, reason),
    };
    const channel: VhostUserChannel = new VhostUserChannel(this.reactor, fd, this.name, handlers, this.closer);
    this.channel = channel;
    await this.send(R.SET_OWNER);
    this.offered = await this.ask(R.GET_FEATURES);
    if ((this.offered & VHOST_USER_F_PROTOCOL_FEATURES) === 0n) return;
    this.protocolFeatures = (await this.ask(R.GET_PROTOCOL_FEATURES)) & PROTOCOL_FEATURES_WANTED;
    await this.send(R.SET_PROTOCOL_FEATURES, p.encodeU64(this.protocolFeatures));
  }

  private dial(): number {
    try {
      return connectUnix(this.path);
    } catch (error) {
      if (!(error instanceof SystemError)) throw new Error(`${this.name}: ${(error as Error).message}`);
      const cause: Record<string, string> = {
        ENOENT: 'there is no such socket: start the switch or backend that creates it first',
        ENOTDIR: 'there is no such socket: part of its path is a file',
        ECONNREFUSED: 'nobody listens on this socket: it was left behind by a backend that is gone; start one',
        EACCES: 'no right to open this socket: run as its owner, or have its mode changed',
        EAGAIN: 'the backend takes no further connection: another endpoint may be using this socket',
        EPROTOTYPE: 'this is not a stream socket',
      };
      // The kernel has the same errno for a socket without a listener and for a file that is no socket.
      const isOther = error.code === 'ECONNREFUSED' && !statSync(this.path, { throwIfNoEntry: false })?.isSocket();
      const reason = isOther ? 'this is not a socket: name the one that the backend listens on' : cause[error.code];
      throw new Error(`${this.name}: ${reason === undefined ? error.message : `${reason} (${error.code})`}`);
    }
  }

  /** Accepts one backend. Afterwards the socket only keeps its name taken, until {@link close}. */
  private awaitBackend(): Promise<number> {
    const { path, name } = this;
    const { signal, onWait } = this.isFirstWait ? this.options : {};
    if (signal?.aborted) throw new Error(`${name}: stopped before a backend had connected`);
    const listener = new ListeningSocket(path, name, this.closer);
    this.listener = listener;
    const reactor = this.openReactor();
    this.reactor = reactor;
    return new Promise<number>((resolve, reject) => {
      const onAbort = (): void => this.endWait('stopped before a backend had connected');
      const settle = (act: () => void): void => {
        this.endWait = () => {};
        signal?.removeEventListener('abort', onAbort);
        reactor.unwatch(listener.fd);
        act();
      };
      this.endWait = (reason) => settle(() => reject(new Error(`${name}: ${reason}`)));
      signal?.addEventListener('abort', onAbort);
      reactor.watch(listener.fd, abi.EPOLLIN, () => {
        try {
          const fd = listener.accept();
          if (fd === null) return;
          this.isFirstWait = false;
          settle(() => resolve(fd));
        } catch (error) {
          this.endWait((error as Error).message);
        }
      });
      onWait?.(`${name}: waits for a backend to connect`);
    });
  }

  private lost(channel: VhostUserChannel, reason: string): void {
    if (this.channel !== channel) return;
    this.channel = null;
    this.replies.failAll(`the backend hung up (${reason})`);
    this.events?.onLost(`${this.name}: the backend hung up (${reason})`);
  }

  /** The memory as the table that the backend was sent says: from IOVA_BASE on. */
  addressSpace(): AddressSpace {
    return new LinearAddressSpace(IOVA_BASE);
  }

  /** Nothing to do: every connection begins with a backend in reset, and {@link close} ends the connection. */
  async reset(): Promise<void> {
    this.status = 0;
  }

  async getStatus(): Promise<number> {
    if ((this.protocolFeatures & p.PROTOCOL_F_STATUS) === 0n) return this.status;
    return Number(await this.ask(R.GET_STATUS));
  }

  async setStatus(status: number): Promise<void> {
    this.status = status;
    if ((this.protocolFeatures & p.PROTOCOL_F_STATUS) !== 0n) {
      await this.send(R.SET_STATUS, p.encodeU64(BigInt(status)));
    }
    if ((status & VIRTIO_STATUS_DRIVER_OK) === 0 || (this.offered & VHOST_USER_F_PROTOCOL_FEATURES) === 0n) return;
    for (const index of this.queues.keys()) await this.send(R.SET_VRING_ENABLE, p.encodeVringState({ index, num: 1 }));
  }

  async getDeviceFeatures(): Promise<bigint> {
    return this.offered & ~VHOST_USER_F_PROTOCOL_FEATURES;
  }

  async setDriverFeatures(features: bigint): Promise<void> {
    this.packed = (features & VIRTIO_F_RING_PACKED) !== 0n;
    await this.send(R.SET_FEATURES, p.encodeU64(features | (this.offered & VHOST_USER_F_PROTOCOL_FEATURES)));
  }

  async readConfig(offset: number, length: number): Promise<Uint8Array> {
    const request = Buffer.alloc(CONFIG_HEAD_BYTES + length);
    request.writeUInt32LE(offset, 0);
    request.writeUInt32LE(length, 4);
    const reply = await this.request(R.GET_CONFIG, request);
    if (reply.length !== request.length) {
      throw new Error(`${this.name}: GET_CONFIG of ${length} bytes at ${offset} was refused by the backend`);
    }
    return new Uint8Array(reply.subarray(CONFIG_HEAD_BYTES));
  }

  async maxQueueSize(queue: number): Promise<number> {
    return queue < QUEUE_PAIR ? MAX_QUEUE_SIZE : 0;
  }

  async setupQueue(index: number, layout: QueueLayout): Promise<Doorbell> {
    const { memory, reactor } = this;
    if (memory === null || reactor === null) throw new Error(`${this.name}: not connected`);
    if (this.queues.size === 0) await this.sendMemoryTable(memory);
    const queue = QueueEventfds.create();
    this.queues.set(index, queue);
    reactor.watch(queue.callFd, (abi.EPOLLIN | abi.EPOLLET) >>> 0, () => this.events?.onInterrupt(index));
    const address = (offset: number): bigint => BigInt(memory.address + offset);
    await this.send(R.SET_VRING_NUM, p.encodeVringState({ index, num: layout.size }));
    await this.send(R.SET_VRING_BASE, p.encodeVringState({ index, num: this.packed ? PACKED_BASE : 0 }));
    await this.send(
      R.SET_VRING_ADDR,
      p.encodeVringAddress({
        index,
        flags: 0,
        descriptor: address(layout.descriptors),
        available: address(layout.driver),
        used: address(layout.device),
        log: 0n,
      }),
    );
    await this.send(R.SET_VRING_CALL, p.encodeVringFd(index, true), [queue.callFd]);
    await this.send(R.SET_VRING_KICK, p.encodeVringFd(index, true), [queue.kickFd]);
    return queue.doorbell;
  }

  private async sendMemoryTable(memory: PacketMemory): Promise<void> {
    const region = {
      guestAddress: BigInt(IOVA_BASE),
      size: BigInt(memory.size),
      userAddress: BigInt(memory.address),
      mmapOffset: 0n,
    };
    await this.send(R.SET_MEM_TABLE, p.encodeMemoryTable([region]), [memory.fd]);
  }

  /** Sends a request that has no answer of its own. With REPLY_ACK the backend confirms it, or refuses it. */
  private async send(request: number, payload: Buffer | null = null, fds: readonly number[] = []): Promise<void> {
    const channel = this.openChannel();
    // SET_PROTOCOL_FEATURES itself is sent before REPLY_ACK is in force.
    const acknowledged = (this.protocolFeatures & p.PROTOCOL_F_REPLY_ACK) !== 0n && request !== R.SET_PROTOCOL_FEATURES;
    channel.send(request, acknowledged ? p.FLAG_NEED_REPLY : 0, payload, fds);
    if (!acknowledged) return;
    const result = p.decodeU64(await this.replies.expect(request), p.requestName(request));
    if (result !== 0n) throw new Error(`${this.name}: the backend refuses ${p.requestName(request)} (${result})`);
  }

  private async ask(request: number): Promise<bigint> {
    return p.decodeU64(await this.request(request, null), p.requestName(request));
  }

  private async request(request: number, payload: Buffer | null, timeoutMs?: number): Promise<Buffer> {
    this.openChannel().send(request, 0, payload);
    return this.replies.expect(request, timeoutMs);
  }

  private openChannel(): VhostUserChannel {
    if (this.channel === null) throw new Error(`${this.name}: the backend is not connected`);
    return this.channel;
  }

  keepAlive(on: boolean): void {
    this.keepsAlive = on;
    this.reactor?.keepAlive(on);
  }

  private openReactor(): Reactor {
    const reactor = new Reactor();
    reactor.keepAlive(this.keepsAlive);
    return reactor;
  }

  async close(): Promise<void> {
    const { channel } = this;
    this.endWait('closed while it waited for a backend');
    if (channel !== null) {
      // GET_VRING_BASE stops a ring. After its answer the backend does not use our memory any more.
      try {
        for (const index of this.queues.keys()) {
          await this.request(R.GET_VRING_BASE, p.encodeVringState({ index, num: 0 }), STOP_MS);
        }
      } catch {
        // The backend is going or gone. Closing the socket stops its rings as well.
      }
      this.channel = null;
      channel.close();
      this.replies.failAll('closed');
    }
    for (const queue of this.queues.values()) {
      this.reactor?.unwatch(queue.callFd);
      queue.close(this.closer);
    }
    this.queues = new Map();
    this.reactor?.close();
    this.reactor = null;
    this.listener?.close();
    this.listener = null;
    await finishClosing(this.closer, this.name);
  }
}
