/**
 * Soft RSS: what a NIC with many queues does in hardware, for a NIC with one queue. The Rx loop hashes the flow of each
 * packet and looks up its core in the indirection table. A stack does the same for a flow that it is about to open, to
 * choose a source port whose answers come back to its own core (as mTCP does).
 *
 * ```ts
 * const rss = new Rss(memory, {}, IndirectionTable.create(4)); // symmetric
 * const core = rss.coreOf(rss.hashFrame(frame, length));
 * worker.postMessage(rss.share()); // there: Rss.attach(memory, share)
 * ```
 */
import type { MemoryViews } from '../../drivers/memory/index.js';
import { ArgumentError } from '../errors.js';
import { swapBytes } from '../wire/bytes.js';
import { IPV6_ADDRESS_BYTES } from '../wire/ipv6.js';
import { createFlowHash, type FlowHash, hasPorts } from './flow-hash.js';
import { IndirectionTable, type IndirectionTableShare } from './indirection-table.js';
import { type ResolvedRss, type RssOptions, resolveRss } from './keys.js';
import { createTupleHash, type TupleHash } from './tuple-hash.js';

/** A flow, as its packets are *received*: the source is the remote end. */
export interface FlowTuple {
  /** IP protocol. TCP (6) and UDP (17) are hashed with their ports, all others only by their addresses. */
  readonly protocol: number;
  /** An IPv4 address as a number (a<<24|b<<16|c<<8|d, signed or unsigned), or the 16 bytes of an IPv6 address. */
  readonly source: number | Uint8Array;
  /** Of the same kind as {@link source}. */
  readonly destination: number | Uint8Array;
  /** 0 to 65535; required for TCP and UDP. */
  readonly sourcePort?: number | undefined;
  readonly destinationPort?: number | undefined;
}

/** What another thread needs to hash and to choose cores as this one does; structured-cloneable. */
export interface RssShare extends ResolvedRss {
  readonly table: IndirectionTableShare;
}

/** Hashes flows and chooses their cores. One instance per thread, because it has scratch space. */
export class Rss {
  private readonly options: ResolvedRss;
  private readonly tuple: TupleHash;
  private readonly flow: FlowHash;
  /** An IPv6 tuple: source, destination. */
  private readonly addresses = new Int32Array((2 * IPV6_ADDRESS_BYTES) / 4);

  /**
   * @param memory that the frames lie in
   * @param table shared by all threads
   * @throws ArgumentError when the options are wrong
   */
  constructor(
    memory: MemoryViews,
    options: RssOptions,
    readonly table: IndirectionTable,
  ) {
    this.options = resolveRss(options);
    this.tuple = createTupleHash(this.options.key, this.options.symmetric);
    this.flow = createFlowHash(memory, this.tuple);
  }

  static attach(memory: MemoryViews, { table, ...options }: RssShare): Rss {
    return new Rss(memory, options, IndirectionTable.attach(table));
  }

  /** What {@link attach} takes, in this thread or another. */
  share(): RssShare {
    return { ...this.options, table: this.table.share() };
  }

  /**
   * The hash of the Ethernet frame of `length` bytes at `frame` (2 mod 4 is fast): signed 32 bits, 0 for a frame
   * without a flow. What is hashed: flow-hash.ts.
   */
  hashFrame(frame: number, length: number): number {
    return this.flow.ofFrame(frame, length);
  }

  /** The same for the IP packet of `length` bytes at `ip` (a multiple of 4 is fast). */
  hashPacket(ip: number, length: number): number {
    return this.flow.ofPacket(ip, length);
  }

  /** As {@link hashFrame}, for the first `count` frames of a burst. */
  hashFrames(frames: Uint32Array, lengths: Uint32Array, hashes: Int32Array, count: number): void {
    this.flow.ofFrames(frames, lengths, hashes, count);
  }

  /** As {@link hashPacket}, for the first `count` packets of a burst. */
  hashPackets(packets: Uint32Array, lengths: Uint32Array, hashes: Int32Array, count: number): void {
    this.flow.ofPackets(packets, lengths, hashes, count);
  }

  /** The core that packets with this hash go to. */
  coreOf(hash: number): number {
    return this.table.coreOf(hash);
  }

  /**
   * The hash of TCP and UDP packets over IPv4. Allocates nothing, and checks nothing.
   * @param source and `destination` as numbers, signed or unsigned
   * @param sourcePort and `destinationPort`: 0 to 65535
   */
  hashPorts(source: number, destination: number, sourcePort: number, destinationPort: number): number {
    const ports = swapBytes((sourcePort << 16) | destinationPort);
    return this.tuple.ipv4Ports(swapBytes(source), swapBytes(destination), ports);
  }

  /**
   * The hash that {@link hashFrame} returns for packets of this flow; with ports, for packets that are not fragments.
   * @throws ArgumentError when the tuple is not a flow
   */
  hashFlow({ protocol, source, destination, sourcePort, destinationPort }: FlowTuple): number {
    const withPorts = hasPorts(protocol);
    const from = withPorts ? checkPort(sourcePort) : 0;
    const to = withPorts ? checkPort(destinationPort) : 0;
    if (typeof source === 'number' && typeof destination === 'number') {
      if (withPorts) return this.hashPorts(source, destination, from, to);
      return this.tuple.ipv4(swapBytes(source), swapBytes(destination));
    }
    const words = this.addresses;
    const half = words.length / 2;
    storeIpv6(words, 0, source);
    storeIpv6(words, half, destination);
    return this.tuple.ipv6(words, 0, half, swapBytes((from << 16) | to));
  }

  /**
   * The core that receives this flow, by the table as it is now.
   * @throws ArgumentError when the tuple is not a flow
   */
  coreForFlow(tuple: FlowTuple): number {
    return this.coreOf(this.hashFlow(tuple));
  }
}

function checkPort(port: number | undefined): number {
  if (port !== undefined && Number.isInteger(port) && port >= 0 && port <= 0xffff) return port;
  throw new ArgumentError(`a TCP or UDP flow needs ports of 0 to 65535, found ${port}`);
}

/** Stores an IPv6 address as memory words. */
function storeIpv6(words: Int32Array, at: number, address: number | Uint8Array): void {
  if (typeof address === 'number' || address.length !== IPV6_ADDRESS_BYTES) {
    const found = typeof address === 'number' ? 'a number' : `${address.length} bytes`;
    throw new ArgumentError(
      `a flow's addresses are two numbers (IPv4) or ${IPV6_ADDRESS_BYTES} bytes each (IPv6), found ${found}`,
    );
  }
  for (let i = 0; i < IPV6_ADDRESS_BYTES; i += 4) {
    words[at + (i >>> 2)] = address[i] | (address[i + 1] << 8) | (address[i + 2] << 16) | (address[i + 3] << 24);
  }
}
