/** Options for opening a virtio network device, and what follows from them for its packet buffers. */
import { frameCapacity } from '../../rings/buffer-pool.js';
import type { HugepagePolicy } from '../memory/index.js';
import type { OffloadPolicy } from '../offloads.js';
import { indirectBytes } from './driver/chains/indirect-tables.js';

/** Layout of the virtqueues. `auto` is `split`, which every device has. */
export type RingLayout = 'auto' | 'split' | 'packed';

export interface NetDeviceOptions {
  /** Six bytes. Default: the device's own address, or a random locally administered one. */
  mac?: Uint8Array | undefined;
  /**
   * Largest IP packet in bytes: 68 or more, at most the device's limit. Default: 1500, or the device's limit if less.
   */
  mtu?: number | undefined;
  /** Number of packet buffers. Default: enough to fill both rings, and as many again for the stack. */
  buffers?: number | undefined;
  /**
   * Entries of each ring, a power of two. Default: 1024, or less if the device or the number of buffers allows less.
   */
  queueSize?: number | undefined;
  hugepages?: HugepagePolicy | undefined;
  /** Receive frames to any address, if the device filters at all. Default: to our own address and broadcast. */
  promiscuous?: boolean | undefined;
  /** Receive frames to all groups, if the device filters at all. */
  allMulticast?: boolean | undefined;
  /** Default: `auto`. With `packed`, a device without packed rings is refused. */
  ring?: RingLayout | undefined;
  /** Buffers that were sent go into a pool of their own, `sent`, which the caller drains, instead of into `pool`. */
  separateSent?: boolean | undefined;
  /** At the start `pool` has only the buffers `first` to `end` (exclusive). The others are the caller's. */
  ownBuffers?: { readonly first: number; readonly end: number } | undefined;
  /** Another thread will drive the transmit queue: see the device's `lendTx`. Implies `separateSent`. */
  lendTx?: boolean | undefined;
  /**
   * Accept frames in several buffers (MRG_RXBUF), only to drop and count them: for a device that insists. Default: no.
   */
  mergeable?: boolean | undefined;
  /**
   * With `auto`, the device uses what is offered of checksums, segmentation and packets in several buffers; callers then
   * must know chains and the packet table. With `off`, every packet is plain. Default: `off`.
   */
  offloads?: OffloadPolicy | undefined;
  /** Feature bits that must not be negotiated. */
  withoutFeatures?: bigint | undefined;
}

const DEFAULT_QUEUE_SIZE = 1024;
export const DEFAULT_MTU = 1500;
/** The least that IPv4 asks of any link (RFC 791), in bytes. */
const MIN_MTU = 68;
/** Bytes that a frame has beyond its MTU: Ethernet header and one VLAN tag. */
export const FRAME_OVERHEAD = 18;
const MIN_BUFFER_SHIFT = 11;
/**
 * log2 of the least size of a buffer with offloads. A GSO packet of 64 KB then takes 17 buffers instead of 34, and a plain
 * packet of 1514 bytes has still one to itself.
 */
const OFFLOAD_BUFFER_SHIFT = 12;
const MAX_BUFFER_SHIFT = 16;
/** Largest packet memory: offsets in it are signed 32-bit integers. */
const MAX_MEMORY_BYTES = 2 ** 31;

/**
 * Ring entries and packet buffers to take memory for. A ring holds a quarter of the buffers, so half are the stack's.
 */
export function ringAndBuffers(name: string, options: NetDeviceOptions): { queueSize: number; buffers: number } {
  let queueSize = options.queueSize ?? DEFAULT_QUEUE_SIZE;
  const buffers = options.buffers ?? 4 * queueSize;
  if (options.queueSize === undefined) while (queueSize > 2 && queueSize * 4 > buffers) queueSize /= 2;
  const { first, end } = options.ownBuffers ?? { first: 0, end: buffers };
  if (!(first >= 0 && end <= buffers && end > first)) {
    throw new Error(`${name}: its own buffers cannot be ${first} to ${end}: there are ${buffers}`);
  }
  // At most half of the device's own buffers, when it owns only a part: the other half replaces what was received.
  if (options.queueSize === undefined) while (queueSize > 2 && queueSize * 2 > end - first) queueSize /= 2;
  if (end - first <= queueSize) {
    throw new Error(
      `${name}: ${end - first} buffers are too few: they must fill a receive ring of ${queueSize}, and more`,
    );
  }
  return { queueSize, buffers };
}

/**
 * Entries of a queue for which the device allows `most`: `wanted`, if a number was asked for; otherwise the largest
 * power of two (2.7) that the device allows and memory was taken for (`capacity`).
 */
export function entriesOf(name: string, most: number, wanted: number | undefined, capacity: number): number {
  if (most >= (wanted ?? capacity)) return wanted ?? capacity;
  if (most < 2) throw new Error(`${name}: the device has no such queue (it allows ${most} entries)`);
  if (wanted === undefined) return 1 << (31 - Math.clz32(most));
  throw new Error(`${name}: ${wanted} entries asked for, but the device allows ${most}: set a smaller queue size`);
}

/** The MTU in bytes: `wanted`, if one was asked for; otherwise 1500 or the device's limit. */
export function mtuOf(name: string, wanted: number | undefined, limit: number): number {
  if (wanted === undefined) return Math.min(DEFAULT_MTU, limit);
  if (wanted > limit) throw new Error(`${name}: MTU ${wanted} asked for, but the device allows ${limit}`);
  return wanted;
}

/** log2 of the size of a buffer that holds a frame of this MTU; with offloads, of a part of a longer packet. */
export function bufferShift(name: string, mtu: number, offloads: OffloadPolicy = 'off'): number {
  if (!(Number.isInteger(mtu) && mtu >= MIN_MTU)) throw new Error(`${name}: MTU ${mtu}: at least ${MIN_MTU} bytes`);
  const least = offloads === 'auto' ? OFFLOAD_BUFFER_SHIFT : MIN_BUFFER_SHIFT;
  for (let shift = least; shift <= MAX_BUFFER_SHIFT; shift++) {
    if (mtu + FRAME_OVERHEAD <= frameCapacity(shift)) return shift;
  }
  throw new Error(`${name}: MTU ${mtu} is more than a buffer of ${1 << MAX_BUFFER_SHIFT} bytes can hold`);
}

/** Bytes of packet memory for two rings, the control queue and `buffers` buffers of 2^shift bytes. */
export function memoryBytes(
  name: string,
  queueSize: number,
  buffers: number,
  shift: number,
  offloads: OffloadPolicy = 'off',
): number {
  // A ring takes 26 bytes per entry; this is rounded up generously.
  const rings = 64 * queueSize + 2 * 65536 + (offloads === 'off' ? 0 : indirectBytes(queueSize));
  const bytes = buffers * 2 ** shift + rings;
  if (bytes <= MAX_MEMORY_BYTES) return bytes;
  throw new Error(
    `${name}: ${buffers} buffers of ${2 ** shift} bytes need more than 2 GiB, the largest packet memory: ` +
      'set fewer buffers, or a smaller MTU',
  );
}
