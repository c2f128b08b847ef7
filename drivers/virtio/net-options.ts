/** How a virtio network device may be opened, and what follows from that for its packet buffers. */
import { frameCapacity } from '../../rings/buffer-pool.js';
import type { HugepagePolicy } from '../memory/index.js';

/** Layout of the virtqueues. `auto` is `split`, which every device has and which is as fast or faster to send on. */
export type RingLayout = 'auto' | 'split' | 'packed';

export interface NetDeviceOptions {
  /** Six bytes. Without it the device's own address, or a random locally administered one. */
  mac?: Uint8Array | undefined;
  /** Largest IP packet, in bytes, 68 or more; at most the device's own limit. Default: 1500, or that limit if less. */
  mtu?: number | undefined;
  /** Packet buffers; default: both rings full, and as many again for the stack. */
  buffers?: number | undefined;
  /** Entries of each ring, a power of two; default 1024, less where the device or the number of buffers allows less. */
  queueSize?: number | undefined;
  hugepages?: HugepagePolicy | undefined;
  /** Receive every frame, whoever it is for, where the device filters at all. Default: own, broadcast. */
  promiscuous?: boolean | undefined;
  /** Receive frames to all groups, where the device filters at all. */
  allMulticast?: boolean | undefined;
  /** Default: `auto`. With `packed` a device that has no packed rings is refused. */
  ring?: RingLayout | undefined;
  /** Put buffers that were sent into a pool of their own, `sent`, which the caller drains, instead of into `pool`. */
  separateSent?: boolean | undefined;
  /** `pool` has only the buffers `first` to `end` (exclusive) at the start; the others belong to the caller. */
  ownBuffers?: { readonly first: number; readonly end: number } | undefined;
  /** Another thread is to drive the transmit queue: see `lendTx` of the device. Implies `separateSent`. */
  lendTx?: boolean | undefined;
  /** Accept frames over several buffers (MRG_RXBUF), only to drop and count them: for a device that insists. Default no. */
  mergeable?: boolean | undefined;
  /** Feature bits that are not to be negotiated although both sides could. */
  withoutFeatures?: bigint | undefined;
}

const DEFAULT_QUEUE_SIZE = 1024;
export const DEFAULT_MTU = 1500;
/** The least that IPv4 asks of any link (RFC 791). */
const MIN_MTU = 68;
/** Ethernet header and one VLAN tag: what a frame has beyond its MTU. */
export const FRAME_OVERHEAD = 18;
const MIN_BUFFER_SHIFT = 11;
const MAX_BUFFER_SHIFT = 16;
/** Offsets in the packet memory are signed 32-bit integers. */
const MAX_MEMORY_BYTES = 2 ** 31;

/** Entries and packet buffers to take memory for: a ring holds a quarter of the buffers, so that half are the stack's. */
export function ringAndBuffers(name: string, options: NetDeviceOptions): { queueSize: number; buffers: number } {
  let queueSize = options.queueSize ?? DEFAULT_QUEUE_SIZE;
  const buffers = options.buffers ?? 4 * queueSize;
  if (options.queueSize === undefined) while (queueSize > 2 && queueSize * 4 > buffers) queueSize /= 2;
  const { first, end } = options.ownBuffers ?? { first: 0, end: buffers };
  if (!(first >= 0 && end <= buffers && end > first)) {
    throw new Error(`${name}: its own buffers are to be ${first} to ${end}, of ${buffers}`);
  }
  // Half of what the device owns itself, where that is less than all: the rest takes the place of what was received.
  if (options.queueSize === undefined) while (queueSize > 2 && queueSize * 2 > end - first) queueSize /= 2;
  if (end - first <= queueSize) {
    throw new Error(`${name}: ${end - first} buffers cannot fill a receive ring of ${queueSize} and leave any`);
  }
  return { queueSize, buffers };
}

/**
 * Entries of a queue for which the device allows `most`: what was asked for (`wanted`), or of what there is memory for as
 * much as the device allows (2.7: a power of two).
 */
export function entriesOf(name: string, most: number, wanted: number | undefined, capacity: number): number {
  if (most >= (wanted ?? capacity)) return wanted ?? capacity;
  if (most < 2) throw new Error(`${name}: the device has no such queue (it allows ${most} entries)`);
  if (wanted === undefined) return 1 << (31 - Math.clz32(most));
  throw new Error(`${name}: ${wanted} entries asked for, the device allows ${most}: set a smaller queue size`);
}

/** The longest packet: as was asked for (`wanted`), or what is usual, where the device allows it. */
export function mtuOf(name: string, wanted: number | undefined, limit: number): number {
  if (wanted === undefined) return Math.min(DEFAULT_MTU, limit);
  if (wanted > limit) throw new Error(`${name}: MTU ${wanted} asked for, the device allows ${limit}`);
  return wanted;
}

/** log2 of the buffer that holds a frame of this MTU. */
export function bufferShift(name: string, mtu: number): number {
  if (!(Number.isInteger(mtu) && mtu >= MIN_MTU)) throw new Error(`${name}: MTU ${mtu}: at least ${MIN_MTU} bytes`);
  for (let shift = MIN_BUFFER_SHIFT; shift <= MAX_BUFFER_SHIFT; shift++) {
    if (mtu + FRAME_OVERHEAD <= frameCapacity(shift)) return shift;
  }
  throw new Error(`${name}: MTU ${mtu} is more than a buffer of ${1 << MAX_BUFFER_SHIFT} bytes can hold`);
}

/** Packet memory for two rings, the control queue and `buffers` buffers of 2^shift bytes. */
export function memoryBytes(name: string, queueSize: number, buffers: number, shift: number): number {
  // 26 bytes an entry of each ring, rounded up generously.
  const bytes = buffers * 2 ** shift + 64 * queueSize + 2 * 65536;
  if (bytes <= MAX_MEMORY_BYTES) return bytes;
  throw new Error(
    `${name}: ${buffers} buffers of ${2 ** shift} bytes are more than the 2 GiB of a packet memory: ` +
      'set fewer buffers, or a smaller MTU',
  );
}
