/**
 * One ring of a vhost-user session: what the frontend has said about it, and the state that follows (QEMU,
 * docs/interop/vhost-user.rst, "Ring states"). It is stopped until its first kick, then started; apart from that it is
 * enabled or not.
 */
import { readlinkSync } from 'node:fs';
import { abi, type Closer, type Reactor, setNonBlocking } from '../../libc/index.js';
import { messageOf } from '../../log/message-of.js';
import { quoted } from '../../log/safe-text.js';
import type { RingOptions, RingPlace } from '../../virtio/device/ring.js';
import { DeviceRxQueue } from '../../virtio/device/rx-queue.js';
import type { SignalPacer } from '../../virtio/device/signal-pacer.js';
import type { SoftwareOffload } from '../../virtio/device/software-offload.js';
import { DeviceTxQueue } from '../../virtio/device/tx-queue.js';
import { EVENT_BYTES, MAX_PACKED_QUEUE_SIZE, PACKED_DESC_BYTES } from '../../virtio/layout/packed.js';
import { availBytes, descTableBytes, MAX_SPLIT_QUEUE_SIZE, usedBytes } from '../../virtio/layout/split.js';
import type { PeerMemory } from './peer-memory.js';
import type { VringAddress } from './protocol.js';

/** What the negotiated features say about all rings. */
export interface RingFeatures
  extends Pick<RingOptions, 'packed' | 'eventIdx' | 'indirect' | 'headerBytes' | 'mergeable'> {
  /** OFFLOAD_ bits: what the driver may leave to the switch, and what it takes unfinished. */
  readonly hostOffloads: number;
  readonly guestOffloads: number;
}

export interface VringEvents {
  /** The ring was kicked; also called once when it starts. */
  onKick(vring: Vring): void;
  /** The ring started or stopped. */
  onState(vring: Vring): void;
  /** The driver broke the ring, which is stopped now. */
  onBroken(vring: Vring, reason: string): void;
}

/** There is no file descriptor, although the frontend could send one: it polls, or wants to be polled. */
const NO_FD = -1;

export class Vring {
  /** Even rings are the driver's receive queues, odd ones its transmit queues (virtio 1.2, 5.1.2). */
  readonly isTx: boolean;
  /** What SET_VRING_ENABLE said last; `null` until it was received. */
  enabledByPeer: boolean | null = null;
  private size = 0;
  private base = 0;
  /** The layout of the queue that was made last. */
  private packed = false;
  private address: VringAddress | null = null;
  /** `null` until SET_VRING_KICK was received. */
  private kickFd: number | null = null;
  /** Whether the ring was kicked, perhaps before it was set up. */
  private kickSeen = false;
  private callFd = NO_FD;
  private errFd = NO_FD;
  private tx: DeviceTxQueue | null = null;
  private rx: DeviceRxQueue | null = null;
  private running = false;

  constructor(
    readonly index: number,
    private readonly reactor: Reactor,
    /** Closes the frontend's file descriptors. */
    private readonly closer: Closer,
    /** Counters of the ring; they outlive it. */
    private readonly counts: Float64Array,
    private readonly events: VringEvents,
    /** Signals the call and the error eventfd. */
    private readonly signals: SignalPacer,
    /** Finishes packets that the driver does not take unfinished. */
    private readonly software: SoftwareOffload,
  ) {
    this.isTx = index % 2 === 1;
  }

  get started(): boolean {
    return this.running;
  }

  /** True while the ring is started and must be polled, because its driver sends no kicks. */
  get pollOnly(): boolean {
    return this.running && this.kickFd === NO_FD;
  }

  /** The queue of a started transmit ring, otherwise null. */
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

  /** Sets where the ring begins: {@link RingOptions.base}. */
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

  /** Takes over the file descriptor; -1 when the ring is to be polled. */
  setKick(fd: number): void {
    if (fd !== NO_FD) checkEventfd(fd, `ring ${this.index}: kick`);
    if (fd !== NO_FD) this.reactor.watch(fd, abi.EPOLLIN | abi.EPOLLET, () => this.kicked());
    this.dropKick();
    this.kickFd = fd;
    // A ring that waits for its first kick would wait for ever.
    if (fd === NO_FD && this.queue !== null && !this.running) this.start();
  }

  /** Takes over the file descriptor; -1 when the driver polls. */
  setCall(fd: number): void {
    if (fd !== NO_FD) checkSignalled(fd, `ring ${this.index}: call`);
    this.drop(this.callFd);
    this.callFd = fd;
    const ring = this.queue?.ring;
    if (!ring) return;
    ring.callFd = fd;
    // Used buffers may have been signalled on the old one when the driver did not listen to it any more. One signal too
    // many does no harm (virtio 1.2, 2.7.7.1); with one too few the driver sleeps for ever.
    if (fd !== NO_FD && this.running) this.signals.signal(fd);
  }

  /** Takes over the file descriptor; -1 for none. */
  setErr(fd: number): void {
    if (fd !== NO_FD) checkSignalled(fd, `ring ${this.index}: err`);
    this.drop(this.errFd);
    this.errFd = fd;
  }

  /**
   * Makes the queue once size, address, kick and memory are known. The queue starts at its first kick. It starts at
   * once when it is to be polled, and when buffers are waiting already: if an earlier backend had told the driver not
   * to notify, the driver would never kick. Throws when the addresses are not in the memory.
   */
  arm(memory: PeerMemory | null, features: RingFeatures): void {
    if (this.queue !== null || this.size === 0 || !this.address || this.kickFd === null || !memory) return;
    this.packed = features.packed;
    const place = this.resolve(memory, this.address);
    const { size, base, callFd, counts, signals, software, isTx } = this;
    const { hostOffloads, guestOffloads, ...layout } = features;
    const offloads = isTx ? hostOffloads : guestOffloads;
    const options = { size, base, callFd, counts, signals, software, offloads, ...layout };
    if (isTx) this.tx = new DeviceTxQueue(memory, place, options);
    else this.rx = new DeviceRxQueue(memory, place, options);
    const queue = this.queue!;
    queue.ring.onBroken = (reason) => this.broke(reason);
    const quiet = queue.enableKick();
    // What the driver has put into its ring may have broken it already.
    if (queue.ring.live && (this.kickFd === NO_FD || !quiet || this.kickSeen)) this.start();
  }

  /** The negotiated features are about to change: a ring that waits for its first kick must be armed again. */
  disarm(): void {
    if (!this.running) this.halt();
  }

  /**
   * The memory table or the addresses have changed. Returns null, or why the ring cannot be found and so was stopped.
   */
  relocate(memory: PeerMemory): string | null {
    const queue = this.queue;
    if (queue === null || this.address === null) return null;
    try {
      queue.ring.move(memory, this.resolve(memory, this.address));
      return null;
    } catch (error) {
      this.base = this.halt();
      return messageOf(error);
    }
  }

  /** GET_VRING_BASE: stops the ring until it is set up and kicked again. Returns where the ring must then begin. */
  stop(): number {
    this.base = this.halt();
    this.dropKick();
    this.setCall(NO_FD);
    return this.base;
  }

  /** Stops the ring and closes its file descriptors. */
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

  /** Stops using the queue, started or not. The configuration stays. */
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

  /** Closes a file descriptor that was signalled. */
  private drop(fd: number): void {
    if (fd === NO_FD) return;
    this.signals.forget(fd);
    this.closer.close(fd);
  }

  private dropKick(): void {
    if (this.kickFd !== null && this.kickFd !== NO_FD) {
      this.reactor.unwatch(this.kickFd);
      this.closer.close(this.kickFd);
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
 * Checks a file descriptor that this process signals, and makes it non-blocking. Without Linux AIO a signal is a write,
 * which on a blocking eventfd with a full counter would wait until the frontend reads it.
 */
function checkSignalled(fd: number, name: string): void {
  checkEventfd(fd, name);
  setNonBlocking(fd, name);
}

/**
 * Refuses anything but an eventfd: a write to another file could block, and with it the switch. The kernel answers from
 * memory and asks no server. No other file can have this name, because a path begins with a slash.
 */
function checkEventfd(fd: number, name: string): void {
  const target = readlinkSync(`/proc/self/fd/${fd}`);
  if (target !== 'anon_inode:[eventfd]')
    throw new Error(`${name} file descriptor is ${quoted(target)}, expected an eventfd`);
}
