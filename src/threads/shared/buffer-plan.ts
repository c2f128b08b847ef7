/**
 * How the packet buffers of a port with kernel-bypass threads are shared out, and how long its rings are.
 *
 *     handles  0 ............. rxBuffers | core 0's | core 1's | ...
 *              Rx worker: receive ring,    what getBufferTx gives,
 *              rx_queues, ARP              txBuffers each
 *
 * A buffer belongs to one thread for ever, and always comes back to it. So a core that sends without end takes no
 * buffer from receiving, and a core that keeps what it received takes no buffer from the sending of the other cores.
 */
import { VALUE_LIMIT } from '../../../rings/spsc-ring.js';
import { BURST } from '../../link/bursts/tx-burst.js';

export interface BufferPlan {
  /** All buffers. */
  readonly buffers: number;
  readonly cores: number;
  /** Buffers 0 to rxBuffers - 1 belong to the Rx worker. */
  readonly rxBuffers: number;
  /** Buffers that each core has for sending; a power of two, so that a shift turns a handle into its core. */
  readonly txBuffers: number;
  /** Most entries of the rings of the device. */
  readonly deviceRing: number;
  /** Most buffers of the Rx worker that one core may have: in its rx_queue, in its stack, and being sent. */
  readonly rxShare: number;
  /** Slots of each rx_queue. */
  readonly rxQueue: number;
  /** Slots of each tx_queue. */
  readonly txQueue: number;
}

/** Most packets that a core may send before the others have their turn. */
export const MAX_CORE_BURST = 256;
/** Most cores of a stack. */
export const MAX_CORES = 64;
/** Most packet buffers of a port, in every thread layout: handles go through the rings, whose values are 16 bits. */
export const MAX_BUFFERS = VALUE_LIMIT;
const MIN_QUEUE = 64;
const MAX_QUEUE = 1024;
const MAX_DEVICE_RING = 1024;
/** Buffers of the Rx worker that are in no queue: bursts in work, and ARP frames. */
const SPARE = 4 * BURST;

/** The largest power of two that is not above `value`; at least `least`, at most `most`. */
const powerBelow = (value: number, least: number, most: number): number =>
  Math.min(most, Math.max(least, 2 ** Math.floor(Math.log2(Math.max(value, 1)))));

/** The default number of buffers. */
export function defaultBuffers(cores: number): number {
  return Math.min(MAX_BUFFERS, 1024 * Math.max(4, cores + 2));
}

/**
 * Shares out `buffers` between the Rx worker and `cores` cores.
 * @throws RangeError with one line when they are too few for the rings to work.
 */
export function planBuffers(cores: number, buffers: number): BufferPlan {
  if (!(Number.isInteger(cores) && cores >= 1 && cores <= MAX_CORES)) {
    throw new RangeError(`${cores} cores for the stack: possible are 1 to ${MAX_CORES}`);
  }
  const plan = shareOut(cores, buffers);
  if (plan !== null) return plan;
  let least = buffers + 1;
  while (shareOut(cores, least) === null) least++;
  const who = cores === 1 ? 'a core' : `${cores} cores`;
  throw new RangeError(
    `${buffers} buffers are too few for ${who}: take ${defaultBuffers(cores)}, or at least ${least}`,
  );
}

/** The plan, or null when an rx_queue would be too short. */
function shareOut(cores: number, buffers: number): BufferPlan | null {
  const txBuffers = powerBelow(buffers / (4 * cores), MIN_QUEUE, MAX_QUEUE);
  const rxBuffers = buffers - cores * txBuffers;
  const deviceRing = powerBelow(buffers / 4, MIN_QUEUE, MAX_DEVICE_RING);
  // When every core stands still, full rx_queues and one more burst per core must leave buffers for the receive ring.
  const rxShare = Math.floor((rxBuffers - deviceRing - SPARE) / cores);
  const rxQueue = powerBelow(rxShare - BURST, 0, MAX_QUEUE);
  if (rxQueue < MIN_QUEUE) return null;
  const txQueue = powerBelow(2 * Math.max(rxQueue, txBuffers), MIN_QUEUE, MAX_QUEUE);
  return { buffers, cores, rxBuffers, txBuffers, deviceRing, rxShare, rxQueue, txQueue };
}
