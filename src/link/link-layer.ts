/**
 * Layer 2 in the thread that receives: our addresses, the neighbours, ARP, and which of the received frames are for the
 * stack. With `single` this is the thread of the core; with `1kb` and `2kb` it is the Rx worker, for all cores.
 */
import type { MemoryViews } from '../../drivers/memory/index.js';
import { FRAME_OFFSET, frameCapacity } from '../../rings/buffer-pool.js';
import { NeighbourTable } from '../../rings/neighbour-table.js';
import { CHAIN, CHECKSUM_PARTIAL, CHECKSUM_VERIFIED, ENTRY_SHIFT, TOTAL } from '../../rings/packet-table.js';
import type { Layer } from '../config.js';
import { L2, type L2Counters } from '../counters.js';
import { ETH_HEADER_BYTES, macWords } from '../wire/ethernet.js';
import { ipv4TotalLength } from '../wire/ipv4.js';
import type { TxBurst } from './bursts/tx-burst.js';
import { type CapturePoint, NO_CAPTURE } from './capture-point.js';
import { DhcpLink } from './dhcp/dhcp-link.js';
import type { AddressChange, AddressSink } from './dhcp/lease.js';
import { Filter } from './filter.js';
import { Host, type HostAddress, type HostMemory, hostMemory } from './host.js';
import type { LinkDevice } from './lower-layer.js';
import { Arp, type ArpWarning } from './neighbours/arp.js';
import { ArpSender } from './neighbours/arp-sender.js';
import { Neighbours } from './neighbours/neighbours.js';
import { type WarningSink, Warnings } from './warnings.js';

/** The address is 0 while we have none. */
export interface LinkOptions extends HostAddress {
  /** Static neighbours: IPv4 address -> six bytes. */
  readonly neighbours?: ReadonlyMap<number, Uint8Array>;
  /** Default `ip`. */
  readonly layer?: Layer;
  readonly acceptBroadcast?: boolean;
  readonly acceptMulticast?: boolean;
  /** Hears each change of our address. Default: nobody. */
  readonly onAddress?: AddressSink;
  /** Our address comes from DHCP, once {@link LinkLayer.acquire} was called. Default: it does not. */
  readonly dhcp?: { readonly onFailure: (reason: string) => void } | undefined;
  /** Takes warnings about the network (address conflicts), one line each. */
  readonly warn?: WarningSink;
}

// V8 folds local constants: docs/v8.md, "Local constants".
const SHORTEST = ETH_HEADER_BYTES;
const FIRST_BYTE = FRAME_OFFSET;
const SHIFT = ENTRY_SHIFT;
/** The checksum of a packet with one of these need not be looked at. */
const TRUSTED = CHECKSUM_PARTIAL | CHECKSUM_VERIFIED;

export class LinkLayer {
  readonly host: Host;
  readonly neighbours: Neighbours;
  private readonly memory: MemoryViews;
  private readonly values: Float64Array;
  private readonly filter: Filter;
  private readonly arpSender: ArpSender;
  private readonly arp: Arp;
  private readonly isIp: boolean;
  private readonly maxFrame: number;
  private readonly hasOffloads: boolean;
  private readonly entries: Int32Array;
  private readonly onAddress: AddressSink;
  private readonly dhcp: DhcpLink | null;

  /**
   * @param shift log2 of the size of a buffer
   * @param table where the neighbours are kept. Default: a table in new memory
   * @param own where our addresses are kept; this thread alone writes them. Default: new memory
   * @param capture sees the frames that are dropped
   */
  constructor(
    private readonly device: LinkDevice,
    shift: number,
    private readonly tx: TxBurst,
    counters: L2Counters,
    clock: () => number,
    options: LinkOptions,
    table = new NeighbourTable(new SharedArrayBuffer(NeighbourTable.bytesFor()), 0),
    own: HostMemory = hostMemory(),
    private readonly capture: CapturePoint = NO_CAPTURE,
  ) {
    this.memory = device.memory;
    this.values = counters.values;
    this.isIp = (options.layer ?? 'ip') === 'ip';
    this.maxFrame = frameCapacity(shift);
    this.hasOffloads = device.offloads !== 0;
    this.entries = device.table.words;
    this.onAddress = options.onAddress ?? (() => {});
    this.host = new Host(own);
    this.host.setMac(macWords(device.mac));
    this.host.set(options);
    this.filter = new Filter(device.memory, this.host, {
      acceptBroadcast: options.acceptBroadcast ?? false,
      acceptMulticast: options.acceptMulticast ?? false,
      maxFrame: this.maxFrame,
    });
    this.arpSender = new ArpSender(device, this.host, tx, counters, clock);
    this.neighbours = new Neighbours(table, this.arpSender, counters, clock, null, this.host);
    for (const [ip, mac] of options.neighbours ?? []) this.neighbours.addStatic(ip, macWords(mac));
    const warn = options.warn ?? (() => {});
    const warnings = new Warnings<ArpWarning>(warn, clock);
    this.arp = new Arp(device.memory, this.host, this.neighbours, this.arpSender, tx, counters, warnings);
    const { dhcp } = options;
    if (dhcp === undefined) this.dhcp = null;
    else {
      const onAddress = (change: AddressChange): void => this.setAddress(change);
      const { host, arp, arpSender } = this;
      const client = { ...dhcp, onAddress, warn, clock };
      this.dhcp = new DhcpLink(device, host, tx, arp, arpSender, counters, client);
    }
  }

  /**
   * Decides whether a received frame in the buffer `handle` is for the stack. Counts it if it is not.
   * @param length bytes of the frame in this buffer, which is the first one if there are several
   * @returns bytes of the packet (with layer `ethernet` of the frame) for the stack, in this buffer: the caller keeps
   * the packet. 0 when the frame was ARP or was dropped: the caller does not own its buffers any more.
   */
  admit(handle: number, length: number): number {
    return this.isIp ? this.admitPacket(handle, length) : this.admitFrame(handle, length);
  }

  private admitFrame(handle: number, length: number): number {
    if (length >= SHORTEST && length <= this.maxFrame) return length;
    return this.drop(handle, length, length < ETH_HEADER_BYTES ? L2.rx_drop_runt : L2.rx_drop_too_long);
  }

  private admitPacket(handle: number, length: number): number {
    const frame = this.device.pool.offsetOf(handle) + FIRST_BYTE;
    const flags = this.hasOffloads ? this.entries[handle << SHIFT] : 0;
    if ((flags & CHAIN) !== 0) return this.admitChain(handle, frame, length);
    const bytes = this.filter.plainPacketBytes(frame, length);
    if (this.dhcp?.takes(frame, length, (flags & TRUSTED) !== 0)) return this.drop(handle, length, L2.rx_dhcp);
    return bytes !== 0 ? bytes : this.admitOther(handle, frame, length);
  }

  /** A packet that the short cut does not know. */
  private admitOther(handle: number, frame: number, length: number): number {
    const counter = this.filter.counterOf(frame, length);
    if (counter === L2.rx_delivered) return ipv4TotalLength(this.memory.u8, frame + ETH_HEADER_BYTES);
    if (counter === L2.rx_arp) {
      // The buffer of a request becomes our reply, which asks the device for nothing.
      if (this.hasOffloads) this.device.table.clear(handle);
      if (this.arp.receive(handle, frame, length)) {
        this.values[counter]++;
        return 0;
      }
    } else if (counter === L2.rx_drop_own_source) {
      this.arp.receiveOwnSource(frame, length);
    }
    return this.drop(handle, length, counter);
  }

  /** A packet in several buffers: `length` bytes of it lie at `frame`, with all headers. */
  private admitChain(handle: number, frame: number, length: number): number {
    const total = this.entries[(handle << SHIFT) + TOTAL];
    const counter = this.filter.counterOf(frame, length, total);
    // ARP and DHCP are short. The parts hold the packet and nothing behind it, because nobody cuts the last ones off.
    if (counter === L2.rx_arp) return this.drop(handle, length, L2.rx_drop_chain);
    if (counter !== L2.rx_delivered) return this.drop(handle, length, counter);
    const bytes = ipv4TotalLength(this.memory.u8, frame + ETH_HEADER_BYTES);
    return bytes === total - ETH_HEADER_BYTES ? length - ETH_HEADER_BYTES : this.drop(handle, length, L2.rx_drop_chain);
  }

  /** Counts a packet of `length` bytes in its first buffer, and gives its buffers back. Returns 0. */
  private drop(handle: number, length: number, counter: number): number {
    this.values[counter]++;
    if (this.capture.wantsDrops) this.capture.droppedIn(handle, length, counter);
    const { table, pool } = this.device;
    if (this.hasOffloads) table.free(handle, pool);
    else pool.put(handle);
    return 0;
  }

  /** Begins to ask for an address by DHCP. */
  acquire(): void {
    this.dhcp?.start();
  }

  /** Gives the lease back, if there is one. To be called before the end. */
  release(): void {
    this.dhcp?.stop();
  }

  /** Changes our address, announces it, and tells the port. Address 0: we have none. */
  setAddress(change: AddressChange): void {
    // A lease that was renewed has the same address: nothing is announced, and no packet is lost.
    if (this.host.set(change.host)) this.announce();
    this.onAddress(change);
  }

  /** Announces our address by ARP: at the start, and when the link is back. Does nothing with layer `ethernet`. */
  announce(): void {
    // A device that came back may have another MAC address, if none was configured.
    this.host.setMac(macWords(this.device.mac));
    if (this.isIp) this.arpSender.announce();
    this.tx.flush();
  }

  /** Does what is due at `nowMs`: ARP requests and announcements, ageing of neighbours. */
  tick(nowMs: number): void {
    if (!this.isIp) return;
    this.neighbours.tick(nowMs);
    this.arpSender.tick(nowMs);
    this.dhcp?.tick(nowMs);
    this.tx.flush();
  }

  /** When {@link tick} has something to do next; Infinity when it has not. */
  nextDeadline(): number {
    const due = Math.min(this.neighbours.nextDeadline(), this.arpSender.nextDeadline());
    return this.dhcp === null ? due : Math.min(due, this.dhcp.nextDeadline());
  }
}
