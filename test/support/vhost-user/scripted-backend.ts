/**
 * A vhost-user backend that follows a script: it listens on a real socket, answers as it is told, and keeps the
 * messages that it gets. It serves no queue: a test may do that with the kick and call descriptors.
 */
import { abi, acceptUnix, closeFile, closeInPlace, listenUnix, Reactor } from '../../../drivers/libc/index.js';
import {
  type ChannelHandlers,
  type Message,
  VhostUserChannel,
} from '../../../drivers/transports/vhost-user/channel.js';
import * as p from '../../../drivers/transports/vhost-user/protocol.js';

const R = p.VhostUserRequest;

export interface Received {
  /** The name of the request: SET_OWNER, and so on. */
  name: string;
  payload: Buffer;
  needReply: boolean;
  /** The descriptors belong to the test: {@link ScriptedBackend.close} closes them. */
  fds: number[];
}

export class ScriptedBackend {
  features = 0n;
  protocolFeatures = 0n;
  config = Buffer.from([0x52, 0x54, 0, 1, 2, 3, 1, 0, 1, 0, 0xdc, 0x05]);
  /** Replaces the 0 in the acknowledgement of a request. */
  readonly refuses = new Map<number, bigint>();
  /** Requests that it does not answer, that it hangs up on, and that it answers as if they were another. */
  readonly ignores = new Set<number>();
  readonly hangsUpOn = new Set<number>();
  readonly mistakes = new Map<number, number>();
  /** All messages of all connections, and those of the last one. */
  received: Received[] = [];
  connections = 0;
  status = 0n;
  channel: VhostUserChannel | null = null;
  /** Called with each message, before it is answered. */
  onReceived: ((message: Received) => void) | null = null;
  private replyAck = false;
  private readonly reactor = new Reactor();
  private readonly listener: number;

  constructor(readonly path: string) {
    this.listener = listenUnix(path);
    this.reactor.watch(this.listener, abi.EPOLLIN, () => this.accept());
  }

  private accept(): void {
    const fd = acceptUnix(this.listener, this.path);
    if (fd === null) return;
    this.connections++;
    this.replyAck = false;
    this.status = 0n;
    const handlers: ChannelHandlers = {
      onMessage: (message) => this.onMessage(channel, message),
      onClose: () => {
        if (this.channel === channel) this.channel = null;
      },
    };
    const channel: VhostUserChannel = new VhostUserChannel(this.reactor, fd, 'backend', handlers, closeInPlace);
    this.channel = channel;
  }

  private onMessage(channel: VhostUserChannel, { request, flags, payload, fds }: Message): void {
    const needReply = (flags & p.FLAG_NEED_REPLY) !== 0;
    const name = p.requestName(request);
    const message = { name, payload: Buffer.from(payload), needReply, fds: fds.splice(0) };
    this.received.push(message);
    this.onReceived?.(message);
    if (this.hangsUpOn.has(request)) {
      this.hangUp();
      return;
    }
    if (this.ignores.has(request)) return;
    const answer = this.answer(request, payload);
    const id = this.mistakes.get(request) ?? request;
    if (answer !== null) channel.send(id, p.FLAG_REPLY, answer);
    else if (needReply && this.replyAck) channel.send(id, p.FLAG_REPLY, p.encodeU64(this.refuses.get(request) ?? 0n));
    // A request is acknowledged from the next one on.
    if (request === R.SET_PROTOCOL_FEATURES)
      this.replyAck = (payload.readBigUInt64LE() & p.PROTOCOL_F_REPLY_ACK) !== 0n;
  }

  /** The payload of the answer, for a request that has its own answer. */
  private answer(request: number, payload: Buffer): Buffer | null {
    switch (request) {
      case R.GET_FEATURES:
        return p.encodeU64(this.features);
      case R.GET_PROTOCOL_FEATURES:
        return p.encodeU64(this.protocolFeatures);
      case R.GET_STATUS:
        return p.encodeU64(this.status);
      case R.GET_VRING_BASE:
        return p.encodeVringState({ index: payload.readUInt32LE(0), num: 0 });
      case R.GET_CONFIG: {
        if (this.refuses.has(request)) return Buffer.alloc(0);
        const reply = Buffer.from(payload);
        this.config.copy(reply, 12, payload.readUInt32LE(0), payload.readUInt32LE(0) + payload.readUInt32LE(4));
        return reply;
      }
      case R.SET_STATUS:
        this.status = payload.readBigUInt64LE();
        return null;
      default:
        return null;
    }
  }

  /** The names of what was received, in order; `clear` forgets it. */
  names(): string[] {
    return this.received.map(({ name }) => name);
  }

  /** The n-th message of this name. */
  message(name: string, n = 0): Received {
    const found = this.received.filter((message) => message.name === name)[n];
    if (found === undefined) throw new Error(`no ${name} (${n}) among ${this.names().join(', ')}`);
    return found;
  }

  clear(): void {
    for (const { fds } of this.received) for (const fd of fds) closeFile(fd);
    this.received = [];
  }

  hangUp(): void {
    this.channel?.close();
    this.channel = null;
  }

  close(): void {
    this.hangUp();
    this.clear();
    this.reactor.close();
    closeFile(this.listener);
  }
}
