/**
 * Layer 2 in the thread that receives: our addresses, the neighbours, ARP, and which of the received frames are for the
 * stack. With `single` this is the thread of the core; with `1kb` and `2kb` it is the Rx worker, for all cores.
 */
import type { MemoryViews } from '../../drivers/memory/index.js';
import { FRAME_OFFSET, frameCapacity } from '../../rings/buffer-pool.js';
import { NeighbourTable } from '../../rings/neighbour-table.js';
import type { Layer } from '../config.js';
import { L2, type L2Counters } from '../counters.js';
import { ETH_HEADER_BYTES, macWords } from '../wire/ethernet.js';
import { ipv4TotalLength } from '../wire/ipv4.js';
import { DhcpLink } from './dhcp/dhcp-link.js';
import type { AddressChange, AddressSink } from './dhcp/lease.js';
import { Filter } from './filter.js';
import { Host, type HostAddress, type HostMemory, hostMemory } from './host.js';
import type { LinkDevice } from './lower-layer.js';
import { Arp, type ArpWarning } from './neighbours/arp.js';
import { ArpSender } from './neighbours/arp-sender.js';
import { Neighbours } from './neighbours/neighbours.js';
import type { TxBurst } from './tx-burst.js';
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
  private readonly onAddress: AddressSink;
  private readonly dhcp: DhcpLink | null;

  /**
   * @param shift log2 of the size of a buffer
   * @param table where the neighbours are kept. Default: a table in new memory
   * @param own where our addresses are kept; this thread alone writes them. Default: new memory
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
  ) {
    this.memory = device.memory;
    this.values = counters.values;
    this.isIp = (options.layer ?? 'ip') === 'ip';
    this.maxFrame = frameCapacity(shift);
    this.onAddress = options.onAddress ?? (() => {});
    own.mac.set(macWords(device.mac));
    this.host = new Host(own);
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
   * Decides whether a received frame of `length` bytes in the buffer `handle` is for the stack. Counts it if it is not.
   * @returns bytes of the packet (with layer `ethernet` of the frame) for the stack: the caller keeps the buffer. 0
   * when the frame was ARP or was dropped: the caller does not own the buffer any more.
   */
  admit(handle: number, length: number): number {
    return this.isIp ? this.admitPacket(handle, length) : this.admitFrame(handle, length);
  }

  private admitFrame(handle: number, length: number): number {
    if (length >= SHORTEST && length <= this.maxFrame) return length;
    this.values[length < ETH_HEADER_BYTES ? L2.rx_drop_runt : L2.rx_drop_too_long]++;
    this.device.pool.put(handle);
    return 0;
  }

  private admitPacket(handle: number, length: number): number {
    const frame = this.device.pool.offsetOf(handle) + FIRST_BYTE;
    const bytes = this.filter.plainPacketBytes(frame, length);
    if (this.dhcp?.takes(frame, length)) return this.taken(handle);
    if (bytes !== 0) return bytes;
    const counter = this.filter.counterOf(frame, length);
    if (counter === L2.rx_delivered) return ipv4TotalLength(this.memory.u8, frame + ETH_HEADER_BYTES);
    this.values[counter]++;
    if (counter === L2.rx_arp) {
      if (this.arp.receive(handle, frame, length)) return 0;
    } else if (counter === L2.rx_drop_own_source) {
      this.arp.receiveOwnSource(frame, length);
    }
    this.device.pool.put(handle);
    return 0;
  }

  private taken(handle: number): number {
    this.values[L2.rx_dhcp]++;
    this.device.pool.put(handle);
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
    this.host.mac.set(macWords(this.device.mac));
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
