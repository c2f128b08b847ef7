/**
 * A network interface of this machine as a port of the switch, through a raw socket (packet(7)), as DPDK's net_af_packet. The
 * kernel keeps the interface, and goes on to receive by it.
 *
 * Both rings lie in the window that vhost-user peers share. So receiving costs no system call, and sending one per burst.
 * A virtio-net header before each frame says what is left to its receiver: the kernel takes partial checksums and GSO
 * packets, and sends both.
 */
import { CHECKSUM_PARTIAL, GSO } from '../../../rings/packet-table.js';
import {
  abi,
  closeFile,
  type InterfaceState,
  interfaceState,
  type Reactor,
  readSocketOption,
  sendRing,
} from '../../libc/index.js';
import type { WindowAllocator } from '../../memory/index.js';
import { OFFLOAD_CSUM, OFFLOAD_TSO4 } from '../../offloads.js';
import type { PacketEndpoint } from '../../packet-endpoint.js';
import type { PacketBurst } from '../../virtio/device/packet-burst.js';
import { SoftwareOffload } from '../../virtio/device/software-offload.js';
import { downLine } from '../tap-file.js';
import { fitsMtu, isSumOfOuter } from './frame.js';
import { RxRing } from './rx-ring.js';
import { attach, detach, openRawSocket, type RawSocket } from './socket.js';
import { TxRing } from './tx-ring.js';

/** What VXLAN takes of the MTU: the headers of Ethernet, IPv4, UDP and VXLAN. */
const VXLAN_OVERHEAD = 50;

interface AfPacketOptions {
  readonly reactor: Reactor;
  /** Provides the memory of the rings: the allocator that the peers of the switch use, too. */
  readonly windows: WindowAllocator;
  /** OFFLOAD_ bits: what of a packet to send is left to the kernel. Default: nothing. */
  readonly offloads?: number;
  /** Frames pass by the queueing discipline of the interface. */
  readonly bypass?: boolean;
}

/** No interface has this number. */
const NOT_BOUND = -1;

export class AfPacketDevice implements PacketEndpoint {
  readonly name: string;
  readonly pollOnly = false;
  onKick: (() => void) | null = null;
  /** Called with a line when packets are dropped for a reason that somebody should know. */
  onNotice: ((line: string, kind: string) => void) | null = null;
  refused = 0;

  private readonly rx: RxRing;
  private readonly tx: TxRing;
  private readonly software: SoftwareOffload;
  private readonly takesChecksum: boolean;
  private readonly takesGso: boolean;
  /** The interface when it was looked at last; null: it is gone. */
  private state: InterfaceState | null;
  private mtu: number;
  /** The MTU for which {@link onNotice} was told that packets are too long. */
  private toldMtu = 0;
  private boundTo: number;
  private isWatched = false;
  private closed = false;
  /** tp_packets and tp_drops since they were read last; the pending error of the socket. */
  private readonly statistics = new Uint32Array(new ArrayBuffer(8));
  private readonly pendingError = new Uint32Array(new ArrayBuffer(4));

  private inKernelDropped = 0;
  private outNoBuffer = 0;
  private outTooLong = 0;
  private outBadOffload = 0;
  private outInterfaceDown = 0;
  private outErrors = 0;
  private softwareChecksums = 0;
  private softwareSegments = 0;

  private constructor(
    /** Name of the interface. */
    readonly ifname: string,
    private readonly socket: RawSocket,
    private readonly options: AfPacketOptions,
  ) {
    const { fd } = socket;
    const { offloads = 0, bypass = false } = options;
    this.name = `af_packet:${ifname}`;
    this.rx = new RxRing(socket.rx);
    this.tx = new TxRing(socket.tx, () => send(fd));
    this.software = new SoftwareOffload(options.windows);
    this.takesChecksum = (offloads & OFFLOAD_CSUM) !== 0;
    // Past the queueing discipline the kernel drops what an interface cannot segment.
    this.takesGso = !bypass && (offloads & OFFLOAD_TSO4) !== 0;
    this.state = socket.state;
    this.mtu = socket.state.mtu;
    this.boundTo = socket.state.index;
  }

  /** Opens a socket on the interface `ifname`, which must exist. Throws an Error that says what is missing. */
  static open(ifname: string, options: AfPacketOptions): AfPacketDevice {
    return new AfPacketDevice(ifname, openRawSocket(ifname, options.windows, options.bypass === true), options);
  }

  take(burst: PacketBurst, max: number): number {
    return this.rx.take(burst, max);
  }

  complete(): void {
    this.rx.complete();
  }

  put(burst: PacketBurst, indices: Uint8Array, count: number): number {
    this.refused = 0;
    if (this.state === null) {
      this.outInterfaceDown += count;
      this.refused = -1;
      return 0;
    }
    // Packets per submission. After a malformed one the others go one by one, so that none is copied more than twice.
    let atOnce = count;
    for (let i = 0; i < count; ) {
      const end = i + atOnce < count ? i + atOnce : count;
      for (; i < end; i++) {
        if ((this.refused & (1 << i)) === 0 && !this.putOne(burst, indices[i], i)) this.refused |= 1 << i;
      }
      if (this.tx.submit()) {
        i = this.tx.stoppedAt;
        this.outErrors++;
        this.refused |= 1 << i++;
        atOnce = 1;
      } else {
        this.dropUnsent(i);
      }
    }
    if (this.refused === 0) return count;
    let delivered = 0;
    for (let i = 0; i < count; i++) if ((this.refused & (1 << i)) === 0) delivered++;
    return delivered;
  }

  enableKick(): boolean {
    if (this.rx.isReady) return false;
    this.watch();
    return true;
  }

  disableKick(): void {
    if (!this.isWatched) return;
    this.isWatched = false;
    this.options.reactor.unwatch(this.socket.fd);
  }

  /**
   * A line that says why the interface does not work and what to do; null while it works. Costs a few system calls. An
   * interface that was deleted and made again is used again.
   */
  get problem(): string | null {
    const { ifname } = this;
    this.look();
    if (this.state === null) return `the interface ${ifname} is gone; make it again, and it is used again`;
    if (!this.state.isUp) return downLine(ifname);
    if (this.state.isRunning) return null;
    return `the interface ${ifname} has no carrier: its cable, or its other end, is not connected or is down`;
  }

  /** Names are from the switch's view: `in_…` is what came by the interface, `out_…` is what it was given. */
  counters(): Record<string, number> {
    const { rx, tx } = this;
    this.readDrops();
    return {
      in_packets: rx.packets,
      in_bytes: rx.bytes,
      in_tooShort: rx.tooShort,
      in_tooLong: rx.tooLong,
      in_badOffload: rx.badOffload,
      in_badUdpGso: rx.badUdpGso,
      in_kernelDropped: this.inKernelDropped,
      out_packets: tx.packets,
      out_bytes: tx.bytes,
      out_noBuffer: this.outNoBuffer,
      out_tooLong: this.outTooLong,
      out_badOffload: this.outBadOffload,
      out_interfaceDown: this.outInterfaceDown,
      out_errors: this.outErrors,
      out_softwareChecksums: this.softwareChecksums,
      out_softwareSegments: this.softwareSegments,
    };
  }

  /** Closes the socket. The interface stays. */
  close(): void {
    if (this.closed) return;
    this.disableKick();
    this.readDrops();
    this.closed = true;
    closeFile(this.socket.fd);
    // The rings live until they are unmapped.
    this.options.windows.release(this.socket.range);
    this.software.close();
  }

  /** The file descriptor is watched only while the switch sleeps, so that a busy interface causes no event per frame. */
  private watch(): void {
    if (this.isWatched || this.closed) return;
    this.isWatched = true;
    this.options.reactor.watch(this.socket.fd, abi.EPOLLIN, () => {
      // The socket is ready also when the interface went down, until that error is read.
      readSocketOption(this.socket.fd, abi.SOL_SOCKET, abi.SO_ERROR, this.pendingError);
      this.onKick?.();
    });
  }

  /** Looks at the interface, and takes one that was made again. */
  private look(): void {
    if (this.closed) return;
    const { fd } = this.socket;
    try {
      this.state = interfaceState(fd, this.ifname);
      if (this.state === null) {
        this.unbind();
        return;
      }
      this.mtu = this.state.mtu;
      if (this.state.index === this.boundTo) return;
      this.unbind();
      attach(fd, this.ifname, this.state.index);
      this.boundTo = this.state.index;
    } catch {
      // It went away in between.
      this.state = null;
      this.unbind();
    }
  }

  /**
   * Lets go of the interface: it may be there still, under another name. One that comes back from another network namespace
   * has its old number, and the socket is not bound to it any more.
   */
  private unbind(): void {
    if (this.boundTo === NOT_BOUND) return;
    detach(this.socket.fd, this.ifname, this.boundTo);
    this.boundTo = NOT_BOUND;
  }

  /** Puts packet number `i` of a call into the ring. Returns false when it was dropped, and counts it. */
  private putOne(burst: PacketBurst, packet: number, i: number): boolean {
    const flags = burst.offloaded === 0 ? 0 : burst.flags[packet];
    if (!fitsMtu(burst, packet, flags, this.mtu)) {
      this.outTooLong++;
      if (this.mtu !== this.toldMtu) this.tellTooLong();
      return false;
    }
    if ((flags & CHECKSUM_PARTIAL) === 0) return this.putFrame(burst, packet, 0, i);
    const isOuter = isSumOfOuter(burst, packet);
    if ((flags & GSO) !== 0) {
      return isOuter && this.takesGso ? this.putFrame(burst, packet, flags, i) : this.cut(burst, packet, i);
    }
    if (isOuter && this.takesChecksum) return this.putFrame(burst, packet, flags, i);
    this.software.sum(burst, packet);
    this.softwareChecksums++;
    return this.putFrame(this.software.burst, 0, 0, i);
  }

  private tellTooLong(): void {
    const { ifname, mtu } = this;
    this.toldMtu = mtu;
    const advice = `give their senders a smaller MTU (--mtu), with VXLAN ${mtu - VXLAN_OVERHEAD}`;
    this.onNotice?.(`packets are longer than the MTU of ${ifname}, ${mtu}, and are dropped: ${advice}`, 'too long');
  }

  private putFrame(burst: PacketBurst, packet: number, flags: number, i: number): boolean {
    if (this.tx.put(burst, packet, flags, i)) return true;
    this.outNoBuffer++;
    return false;
  }

  /** Cuts a GSO packet into frames. The kernel takes some of them early when there are more than the ring has room for. */
  private cut(burst: PacketBurst, packet: number, i: number): boolean {
    const { software, tx } = this;
    const flags = this.takesChecksum ? CHECKSUM_PARTIAL : 0;
    if (!software.begin(burst, packet, this.takesChecksum)) {
      this.outBadOffload++;
      return false;
    }
    while (software.next()) {
      this.softwareSegments++;
      if (tx.put(software.burst, 0, flags, i)) continue;
      tx.submit();
      this.dropUnsent(i + 1);
      if ((this.refused & (1 << i)) !== 0) return false;
      if (!this.putFrame(software.burst, 0, flags, i)) return false;
    }
    return true;
  }

  /** Counts the packets before packet number `end` of a call that the last submission did not send. */
  private dropUnsent(end: number): void {
    const { errno, stoppedAt } = this.tx;
    for (let i = stoppedAt; i < end; i++) {
      if ((this.refused & (1 << i)) !== 0) continue;
      this.refused |= 1 << i;
      if (errno === abi.ENXIO) this.boundTo = NOT_BOUND;
      if (errno === abi.ENETDOWN || errno === abi.ENXIO) this.outInterfaceDown++;
      // Without carrier there is no queue that could be full.
      else if (errno === abi.ENOBUFS && this.state?.isRunning === false) this.outInterfaceDown++;
      else if (errno === 0 || errno === abi.EAGAIN || errno === abi.ENOBUFS) this.outNoBuffer++;
      else this.outErrors++;
    }
  }

  private readDrops(): void {
    if (this.closed) return;
    if (readSocketOption(this.socket.fd, abi.SOL_PACKET, abi.PACKET_STATISTICS, this.statistics) === 0) {
      this.inKernelDropped += this.statistics[1];
    }
  }
}

/** Sends what is in the ring. The first call may report that the interface was down, though it is up again. */
function send(fd: number): number {
  const errno = sendRing(fd);
  return errno === abi.ENETDOWN ? sendRing(fd) : errno;
}
