/**
 * One ring of a vhost-user session: what the frontend has said about it, and the state that follows from that (QEMU,
 * docs/interop/vhost-user.rst, "Ring states"): stopped until its first kick, then started; enabled or not apart from that.
 */
import { readlinkSync } from 'node:fs';
import { abi, closeFile, type Reactor, setNonBlocking } from '../../libc/index.js';
import { quoted } from '../../log/safe-text.js';
import type { RingOptions, RingPlace } from '../../virtio/device/ring.js';
import { DeviceRxQueue } from '../../virtio/device/rx-queue.js';
import type { SignalPacer } from '../../virtio/device/signal-pacer.js';
import { DeviceTxQueue } from '../../virtio/device/tx-queue.js';
import { EVENT_BYTES, MAX_PACKED_QUEUE_SIZE, PACKED_DESC_BYTES } from '../../virtio/layout/packed.js';
import { availBytes, descTableBytes, MAX_SPLIT_QUEUE_SIZE, usedBytes } from '../../virtio/layout/split.js';
import type { PeerMemory } from './peer-memory.js';
import type { VringAddress } from './protocol.js';

/** What the feature bits say about all rings. */
export type RingFeatures = Pick<RingOptions, 'packed' | 'eventIdx' | 'indirect' | 'headerBytes' | 'mergeable'>;

export interface VringEvents {
  /** The ring was kicked; also called once when it starts. */
  onKick(vring: Vring): void;
  /** The ring started or stopped. */
  onState(vring: Vring): void;
  /** The driver broke the ring; it has been stopped. */
  onBroken(vring: Vring, reason: string): void;
}

/** No descriptor, although the frontend was to send one: it polls, or wants to be polled. */
const NO_FD = -1;

export class Vring {
  /** Even rings are the driver's receive queues, odd ones its transmit queues (virtio 1.2, 5.1.2). */
  readonly isTx: boolean;
  /** What SET_VRING_ENABLE said last; `null` until it has come. */
  enabledByPeer: boolean | null = null;
  private size = 0;
  private base = 0;
  /** The layout of the queue that was made last. */
  private packed = false;
  private address: VringAddress | null = null;
  /** `null` until SET_VRING_KICK has come. */
  private kickFd: number | null = null;
  /** The kick has come, perhaps before the ring was set up. */
  private kickSeen = false;
  private callFd = NO_FD;
  private errFd = NO_FD;
  private tx: DeviceTxQueue | null = null;
  private rx: DeviceRxQueue | null = null;
  private running = false;

  constructor(
    readonly index: number,
    private readonly reactor: Reactor,
    /** Counters of the ring; they outlive it. */
    private readonly counts: Float64Array,
    private readonly events: VringEvents,
    /** Signals the call and the error eventfd. */
    private readonly signals: SignalPacer,
  ) {
    this.isTx = index % 2 === 1;
  }

  get started(): boolean {
    return this.running;
  }

  /** True while the ring is started and only polling finds what it holds. */
  get pollOnly(): boolean {
    return this.running && this.kickFd === NO_FD;
  }

  /** The queue of a started transmit ring. */
  get txQueue(): DeviceTxQueue | null {
    return this.running ? this.tx : null;
  }

  get rxQueue(): DeviceRxQueue | null {
    return this.running ? this.rx : null;
  }

  setSize(size: number, packed: boolean): void {
    if (this.running) throw new Error(`ring ${this.index}: size set while it runs`);
    const most = packed ? MAX_PACKED_QUEUE_SIZE : MAX_SPLIT_QUEUE_SIZE;
    if (!(size > 0 && size <= most && (packed || (size & (size - 1)) === 0))) {
      const possible = packed ? `sizes up to ${most}` : `powers of two up to ${most}`;
      throw new Error(`ring ${this.index}: size ${size}; possible are ${possible}`);
    }
    this.halt();
    this.size = size;
  }

  /** What a packed ring's base means, and its limits: {@link RingOptions.base}. */
  setBase(base: number, packed: boolean): void {
    if (this.running) throw new Error(`ring ${this.index}: base set while it runs`);
    if (!packed && base > 0xffff) throw new Error(`ring ${this.index}: base ${base}; a split ring's index has 16 bits`);
    this.halt();
    this.base = base;
  }

  setAddress(address: VringAddress): void {
    this.address = address;
    if (!this.running) this.halt();
  }

  /** Takes the descriptor over; -1 when the ring is to be polled. */
  setKick(fd: number): void {
    if (fd !== NO_FD) checkEventfd(fd, `ring ${this.index}: kick`);
    if (fd !== NO_FD) this.reactor.watch(fd, abi.EPOLLIN | abi.EPOLLET, () => this.kicked());
    this.dropKick();
    this.kickFd = fd;
    // Nobody kicks any more a ring that waits for its first kick.
    if (fd === NO_FD && this.queue !== null && !this.running) this.start();
  }

  /** Takes the descriptor over; -1 when the driver polls. */
  setCall(fd: number): void {
    if (fd !== NO_FD) checkSignalled(fd, `ring ${this.index}: call`);
    this.drop(this.callFd);
    this.callFd = fd;
    const ring = this.queue?.ring;
    if (!ring) return;
    ring.callFd = fd;
    // Used buffers may have been signalled on the old one when nobody listened there any more. One signal too many is no
    // harm (virtio 1.2, 2.7.7.1), one too few is a driver that sleeps for ever.
    if (fd !== NO_FD && this.running) this.signals.signal(fd);
  }

  /** Takes the descriptor over; -1 for none. */
  setErr(fd: number): void {
    if (fd !== NO_FD) checkSignalled(fd, `ring ${this.index}: err`);
    this.drop(this.errFd);
    this.errFd = fd;
  }

  /**
   * Makes the queue once size, address, kick and memory are known. It starts at its first kick; at once when it is to be
   * polled, and when buffers wait already: a driver that was told not to notify, by a backend before this one, would never
   * kick. Throws when the addresses are not in the memory.
   */
  arm(memory: PeerMemory | null, features: RingFeatures): void {
    if (this.queue !== null || this.size === 0 || !this.address || this.kickFd === null || !memory) return;
    this.packed = features.packed;
    const place = this.resolve(memory, this.address);
    const { size, base, callFd, counts, signals } = this;
    const options = { size, base, callFd, counts, signals, ...features };
    if (this.isTx) this.tx = new DeviceTxQueue(memory, place, options);
    else this.rx = new DeviceRxQueue(memory, place, options);
    const queue = this.queue!;
    queue.ring.onBroken = (reason) => this.broke(reason);
    const quiet = queue.enableKick();
    // What the driver has put into its ring may have broken it just now.
    if (queue.ring.live && (this.kickFd === NO_FD || !quiet || this.kickSeen)) this.start();
  }

  /** What was negotiated is about to change: a ring that waits for its first kick is to be armed anew. */
  disarm(): void {
    if (!this.running) this.halt();
  }

  /** The memory table or the addresses have changed. A ring that does not resolve any more is stopped; returns why. */
  relocate(memory: PeerMemory): string | null {
    const queue = this.queue;
    if (queue === null || this.address === null) return null;
    try {
      queue.ring.move(memory, this.resolve(memory, this.address));
      return null;
    } catch (error) {
      this.base = this.halt();
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** GET_VRING_BASE: stops the ring until it is set up and kicked anew. Returns where to go on from. */
  stop(): number {
    this.base = this.halt();
    this.dropKick();
    this.setCall(NO_FD);
    return this.base;
  }

  /** Stops the ring and closes its descriptors. */
  dispose(): void {
    this.stop();
    this.setErr(NO_FD);
  }

  private get queue(): DeviceTxQueue | DeviceRxQueue | null {
    return this.isTx ? this.tx : this.rx;
  }

  private start(): void {
    this.running = true;
    this.events.onState(this);
    this.events.onKick(this);
  }

  private kicked(): void {
    this.kickSeen = true;
    if (this.running) this.events.onKick(this);
    else if (this.queue !== null) this.start();
  }

  /** Stops using the queue, or the one that waits for its first kick; the configuration stays. */
  private halt(): number {
    const base = this.queue?.ring.stop() ?? this.base;
    const ran = this.running;
    this.tx = null;
    this.rx = null;
    this.running = false;
    if (ran) this.events.onState(this);
    return base;
  }

  private broke(reason: string): void {
    this.halt();
    if (this.errFd !== NO_FD) this.signals.signal(this.errFd);
    this.events.onBroken(this, reason);
  }

  /** Closes a descriptor that was signalled. */
  private drop(fd: number): void {
    if (fd === NO_FD) return;
    this.signals.forget(fd);
    closeFile(fd);
  }

  private dropKick(): void {
    if (this.kickFd !== null && this.kickFd !== NO_FD) {
      this.reactor.unwatch(this.kickFd);
      closeFile(this.kickFd);
    }
    this.kickFd = null;
    this.kickSeen = false;
  }

  private resolve(memory: PeerMemory, address: VringAddress): RingPlace {
    const part = (name: string, start: bigint, bytes: number): number => {
      const offset = memory.translateUser(start, bytes);
      if (offset >= 0) return offset;
      throw new Error(
        `ring ${this.index}: ${name} of ${bytes} bytes at user address 0x${start.toString(16)} is not in the memory table`,
      );
    };
    if (this.packed) {
      return {
        desc: part('descriptor ring', address.descriptor, PACKED_DESC_BYTES * this.size),
        avail: part('driver event suppression', address.available, EVENT_BYTES),
        used: part('device event suppression', address.used, EVENT_BYTES),
      };
    }
    return {
      desc: part('descriptor table', address.descriptor, descTableBytes(this.size)),
      avail: part('avail ring', address.available, availBytes(this.size)),
      used: part('used ring', address.used, usedBytes(this.size)),
    };
  }
}

/**
 * A descriptor that is signalled. Where a signal must be written, for want of Linux AIO, the write to a blocking eventfd with a
 * full counter would wait for the frontend to read it.
 */
function checkSignalled(fd: number, name: string): void {
  checkEventfd(fd, name);
  setNonBlocking(fd, name);
}

/** Anything else that a frontend may send could block the write that signals it, and with it the switch. */
function checkEventfd(fd: number, name: string): void {
  const target = readlinkSync(`/proc/self/fd/${fd}`);
  if (target !== 'anon_inode:[eventfd]')
    throw new Error(`${name} descriptor is ${quoted(target)}, expected an eventfd`);
}
