/**
 * One frontend's connection to the backend: its messages, and the state that they set up. It ends with the connection.
 *
 * A malformed message ends the connection. A well-formed message that cannot be served is refused by a REPLY_ACK that
 * is not 0, if the frontend asked for one. Otherwise it ends the connection, because the two sides would have different
 * views of the device.
 */
import type { Closer, Reactor } from '../../libc/index.js';
import { messageOf } from '../../log/message-of.js';
import type { WindowAllocator } from '../../memory/index.js';
import type { SignalPacer } from '../../virtio/device/signal-pacer.js';
import type { SoftwareOffload } from '../../virtio/device/software-offload.js';
import { featureNames, VHOST_USER_F_PROTOCOL_FEATURES } from '../../virtio/features.js';
import {
  checkFeatures,
  checkMtu,
  checkProtocolFeatures,
  longestFrame,
  OFFERED_PROTOCOL_FEATURES,
  offeredFeatures,
  ringFeatures,
  SUPPORTED_REQUESTS,
} from './backend-features.js';
import { type Message, VhostUserChannel } from './channel.js';
import { type PeerFiles, PeerMemory } from './peer-memory.js';
import * as p from './protocol.js';
import type { QueuePair } from './queue-pair.js';
import type { SessionEvents } from './session-events.js';
import { StatusField } from './status-field.js';
import { TxDiscarder } from './tx-discarder.js';
import { Vring, type VringEvents } from './vring.js';

const { VhostUserRequest: Request } = p;

export interface SessionOptions {
  readonly name: string;
  readonly reactor: Reactor;
  readonly windows: WindowAllocator;
  readonly pairs: readonly QueuePair[];
  readonly files: PeerFiles;
  /**
   * Signals the peer's eventfds. It outlives the connection: a peer that made signals slow does not lose its record.
   */
  readonly signals: SignalPacer;
  /** Closes the file descriptors that the peer sent. */
  readonly closer: Closer;
  /** OFFLOAD_ bits: what is offered in both directions. */
  readonly offloads: number;
  /** Finishes packets for the peer. */
  readonly software: SoftwareOffload;
}

export class VhostUserSession implements VringEvents {
  /** The value of NET_SET_MTU; 0 until it was received. */
  mtu = 0;
  private readonly channel: VhostUserChannel;
  private readonly vrings: Vring[];
  private readonly offered: bigint;
  private features = 0n;
  private protocolFeatures = 0n;
  private readonly status = new StatusField();
  private memory: PeerMemory | null = null;
  private readonly ignored = new Set<number>();
  /**
   * Whether packets of the ring must be discarded. Between a ring's start and its first SET_VRING_ENABLE they are not:
   * what a driver sent while the backend was away would be lost.
   */
  private readonly discarder = new TxDiscarder(
    (vring) => this.status.isLive && vring.isTx && vring.enabledByPeer === false && !this.isEnabled(vring),
  );

  /** Takes over the connected socket `fd`. */
  constructor(
    fd: number,
    private readonly options: SessionOptions,
    private readonly events: SessionEvents,
  ) {
    const { reactor, pairs, name, signals, closer, software } = options;
    this.offered = offeredFeatures(pairs.length, options.offloads);
    this.vrings = pairs.flatMap((pair, i) => [
      new Vring(2 * i, reactor, closer, pair.rxCounts, this, signals, software),
      new Vring(2 * i + 1, reactor, closer, pair.txCounts, this, signals, software),
    ]);
    const handlers = {
      onMessage: (message: Message) => this.onMessage(message),
      onClose: (reason: string) => events.onClose(reason),
    };
    this.channel = new VhostUserChannel(reactor, fd, name, handlers, closer);
  }

  /** Stops all rings, closes the connection and unmaps the peer's memory. */
  dispose(): void {
    this.channel.close();
    this.discarder.dispose();
    for (const vring of this.vrings) vring.dispose();
    this.attachQueues();
    this.memory?.close();
    this.memory = null;
  }

  onKick(vring: Vring): void {
    this.discarder.kicked(vring);
    this.events.onKick(this.pairOf(vring));
  }

  onState(): void {
    this.attachQueues();
  }

  onBroken(vring: Vring, reason: string): void {
    this.events.onNotice(
      `${this.options.name}: ring ${vring.index} stopped, the driver broke it: ${reason}`,
      'broken ring',
    );
  }

  private onMessage(message: Message): void {
    const what = p.requestName(message.request);
    const wantsAck =
      (message.flags & p.FLAG_NEED_REPLY) !== 0 && (this.protocolFeatures & p.PROTOCOL_F_REPLY_ACK) !== 0n;
    let reply: Buffer | null;
    try {
      if ((message.flags & p.FLAG_REPLY) !== 0) throw new p.ProtocolError(`${what}: a reply to nothing`);
      reply = this.execute(message, what, wantsAck);
    } catch (error) {
      if (error instanceof p.ProtocolError || !wantsAck) throw error;
      const reason = messageOf(error);
      this.events.onNotice(`${this.options.name}: ${what} refused: ${reason}`, 'refused message');
      reply = p.encodeU64(1n);
    }
    if (reply === null && wantsAck) reply = p.encodeU64(0n);
    if (reply !== null) this.channel.send(message.request, p.FLAG_REPLY, reply);
  }

  /** Executes the request. Returns the payload of the reply, for a request that always has one. */
  private execute(message: Message, what: string, wantsAck: boolean): Buffer | null {
    const { payload } = message;
    switch (message.request) {
      case Request.SET_MEM_TABLE:
        this.setMemory(message, what);
        return null;
      case Request.SET_VRING_KICK:
      case Request.SET_VRING_CALL:
      case Request.SET_VRING_ERR:
        this.setVringFd(message, what);
        return null;
    }
    if (!SUPPORTED_REQUESTS.has(message.request)) return this.ignore(message.request, what, wantsAck);
    if (message.fds.length > 0)
      throw new p.ProtocolError(`${what}: ${message.fds.length} file descriptors, expected none`);
    switch (message.request) {
      case Request.GET_FEATURES:
        p.expectEmpty(payload, what);
        return p.encodeU64(this.offered);
      case Request.SET_FEATURES:
        this.setFeatures(p.decodeU64(payload, what));
        return null;
      case Request.GET_PROTOCOL_FEATURES:
        p.expectEmpty(payload, what);
        return p.encodeU64(OFFERED_PROTOCOL_FEATURES);
      case Request.SET_PROTOCOL_FEATURES:
        this.protocolFeatures = checkProtocolFeatures(p.decodeU64(payload, what));
        this.status.negotiated = (this.protocolFeatures & p.PROTOCOL_F_STATUS) !== 0n;
        return null;
      case Request.GET_QUEUE_NUM:
        p.expectEmpty(payload, what);
        return p.encodeU64(BigInt(this.options.pairs.length));
      case Request.SET_OWNER:
        p.expectEmpty(payload, what);
        return null;
      case Request.RESET_OWNER:
        p.expectEmpty(payload, what);
        this.setAllEnabled(false);
        return null;
      case Request.RESET_DEVICE:
        p.expectEmpty(payload, what);
        this.reset();
        return null;
      case Request.SET_STATUS:
        this.status.set(Number(p.decodeU64(payload, what) & 0xffn));
        if (this.status.bits === 0) this.reset();
        else this.attachQueues();
        return null;
      case Request.GET_STATUS:
        p.expectEmpty(payload, what);
        return p.encodeU64(BigInt(this.status.bits));
      case Request.NET_SET_MTU:
        this.mtu = checkMtu(p.decodeU64(payload, what));
        this.attachQueues();
        return null;
      default:
        return this.executeVring(message.request, payload, what);
    }
  }

  private executeVring(request: number, payload: Buffer, what: string): Buffer | null {
    if (request === Request.SET_VRING_ADDR) {
      const address = p.decodeVringAddress(payload, what);
      const vring = this.vring(address.index, what);
      vring.setAddress(address);
      if (vring.started && this.memory) this.relocated(vring, this.memory);
      else vring.arm(this.memory, ringFeatures(this.features));
      return null;
    }
    const { index, num } = p.decodeVringState(payload, what);
    const vring = this.vring(index, what);
    const features = ringFeatures(this.features);
    switch (request) {
      case Request.SET_VRING_NUM:
        vring.setSize(num, features.packed);
        break;
      case Request.SET_VRING_BASE:
        vring.setBase(num, features.packed);
        break;
      case Request.SET_VRING_ENABLE:
        vring.enabledByPeer = num !== 0;
        this.attachQueues();
        return null;
      default:
        return p.encodeVringState({ index, num: vring.stop() });
    }
    vring.arm(this.memory, features);
    return null;
  }

  private vring(index: number, what: string): Vring {
    const vring = this.vrings[index];
    if (vring) return vring;
    throw new p.ProtocolError(`${what}: ring ${index}; there are ${this.vrings.length}`);
  }

  private setFeatures(features: bigint): void {
    this.status.featuresRefused = true;
    checkFeatures(features, this.offered);
    const changed = features ^ this.features;
    if (changed !== 0n && this.vrings.some((vring) => vring.started)) {
      throw new Error(`SET_FEATURES: ${featureNames(changed)} changed while rings run`);
    }
    this.status.featuresRefused = false;
    this.features = features;
    for (const vring of this.vrings) {
      if (changed !== 0n) vring.disarm();
      vring.arm(this.memory, ringFeatures(features));
    }
    this.attachQueues();
  }

  private setMemory(message: Message, what: string): void {
    const regions = p.decodeMemoryTable(message.payload, what);
    if (message.fds.length !== regions.length) {
      throw new p.ProtocolError(`${what}: ${message.fds.length} file descriptors for ${regions.length} regions`);
    }
    const memory = PeerMemory.map(regions, message.fds, this.options.windows, this.options.files);
    memory.adopt(message.fds.splice(0), this.options.closer);
    const old = this.memory;
    this.memory = memory;
    // "Changing some configuration aspects on the fly": running rings go on in the new table, if they are in it.
    for (const vring of this.vrings) {
      this.relocated(vring, memory);
      if (!old) vring.arm(memory, ringFeatures(this.features));
    }
    old?.close();
  }

  private relocated(vring: Vring, memory: PeerMemory): void {
    const problem = vring.relocate(memory);
    if (problem !== null) this.events.onNotice(`${this.options.name}: ring stopped: ${problem}`, 'broken ring');
  }

  private setVringFd(message: Message, what: string): void {
    const { index, hasFd } = p.decodeVringFd(message.payload, what);
    const expected = hasFd ? 1 : 0;
    if (message.fds.length !== expected) {
      throw new p.ProtocolError(`${what}: ${message.fds.length} file descriptors, expected ${expected}`);
    }
    const vring = this.vring(index, what);
    const fd = message.fds[0] ?? -1;
    if (message.request === Request.SET_VRING_KICK) vring.setKick(fd);
    else if (message.request === Request.SET_VRING_CALL) vring.setCall(fd);
    else vring.setErr(fd);
    // From here on it is the ring's. A file descriptor that was refused is closed with the message.
    message.fds.length = 0;
    vring.arm(this.memory, ringFeatures(this.features));
    // A running ring may have to be polled now.
    this.attachQueues();
  }

  /** An unknown request: refused if an answer is wanted, otherwise ignored, with one line per request id. */
  private ignore(request: number, what: string, wantsAck: boolean): null {
    if (wantsAck) throw new Error('not supported');
    if (!this.ignored.has(request) && this.ignored.size < 32) {
      this.ignored.add(request);
      this.events.onNotice(`${this.options.name}: ${what} ignored, not supported`, 'ignored message');
    }
    return null;
  }

  private reset(): void {
    for (const vring of this.vrings) vring.stop();
    this.status.set(0);
    this.setAllEnabled(null);
  }

  private setAllEnabled(enabled: boolean | null): void {
    for (const vring of this.vrings) vring.enabledByPeer = enabled;
    this.attachQueues();
  }

  private isEnabled(vring: Vring): boolean {
    if (!this.status.isLive) return false;
    return (this.features & VHOST_USER_F_PROTOCOL_FEATURES) === 0n || vring.enabledByPeer === true;
  }

  private pairOf(vring: Vring): QueuePair {
    return this.options.pairs[vring.index >> 1];
  }

  /** Tells each pair which of its queues may be used. */
  private attachQueues(): void {
    let changed = false;
    for (const [i, pair] of this.options.pairs.entries()) {
      const rx = this.vrings[2 * i];
      const tx = this.vrings[2 * i + 1];
      const txQueue = this.isEnabled(tx) ? tx.txQueue : null;
      const rxQueue = this.isEnabled(rx) ? rx.rxQueue : null;
      if (rxQueue !== null) rxQueue.longestFrame = longestFrame(this.features, this.mtu);
      if (pair.attach(txQueue, rxQueue, txQueue !== null && tx.pollOnly)) changed = true;
    }
    if (changed) this.events.onChange();
  }
}
