/** Our ring and ringbuf.js of npm behind one interface, so that the same loops measure both. */
import { SpscRing } from '../../rings/spsc-ring.js';

export type Kind = 'tspmd' | 'ringbuf.js';

export interface Ring {
  readonly memory: SharedArrayBuffer;
  /** Puts a burst into the ring, or as many elements as there is room for. */
  put(): void;
  /** Takes a burst out of the ring, or as many elements as there are. Returns how many. */
  take(): number;
}

/** One end of a ring between two threads: the data of a worker. */
export interface Side {
  readonly kind: Kind;
  readonly memory: SharedArrayBuffer;
  readonly burst: number;
  readonly cpu: number;
  readonly role: 'produce' | 'consume';
  readonly milliseconds: number;
}

export interface Window {
  /** Elements per second. */
  readonly rate: number;
  /** The part of a CPU that each thread got. */
  readonly share: number;
}

/**
 * Calls `turn` for a while.
 * @param turn returns how many elements came out of the ring
 * @param threads number of spinning threads in the process
 */
export function runWindow(turn: () => number, milliseconds: number, threads: number): Window {
  const cpu = process.cpuUsage();
  const start = performance.now();
  let elements = 0;
  let now = start;
  do {
    elements += turn();
    now = performance.now();
  } while (now - start < milliseconds);
  const { user, system } = process.cpuUsage(cpu);
  return { rate: elements / ((now - start) / 1000), share: (user + system) / 1000 / (now - start) / threads };
}

/** Warm-up before a window in ms. V8 needs less to compile the loop. */
export const WARM_UP_MS = 100;
/** Rounds of a loop between two looks at the clock. */
export const ROUNDS = 2000;

/** Elements in the ring, as in DPDK's test. */
export const CAPACITY = 4096;
const ELEMENT_WORDS = 2;

class OurRing implements Ring {
  private readonly ring: SpscRing;
  private readonly handles: Uint32Array;
  private readonly lengths: Uint32Array;

  constructor(
    readonly memory: SharedArrayBuffer,
    private readonly burst: number,
  ) {
    this.ring = new SpscRing(memory, 0, CAPACITY);
    this.handles = Uint32Array.from({ length: burst }, (_, i) => i);
    this.lengths = new Uint32Array(burst).fill(64);
  }

  put(): void {
    this.ring.enqueueBurst(this.handles, this.lengths, 0, this.burst);
  }

  take(): number {
    return this.ring.dequeueBurst(this.handles, this.lengths, this.burst);
  }
}

/** The methods of ringbuf.js that are used. */
interface RingBuffer {
  push(elements: Uint32Array): number;
  pop(elements: Uint32Array): number;
}

class TheirRing implements Ring {
  private readonly words: Uint32Array;

  constructor(
    private readonly ring: RingBuffer,
    readonly memory: SharedArrayBuffer,
    burst: number,
  ) {
    this.words = Uint32Array.from({ length: burst * ELEMENT_WORDS }, (_, i) => i);
  }

  put(): void {
    this.ring.push(this.words);
  }

  take(): number {
    return this.ring.pop(this.words) / ELEMENT_WORDS;
  }
}

/**
 * Opens a ring.
 * @param memory that of the ring which the other end has made; default: makes a new ring
 */
export async function openRing(kind: Kind, burst: number, memory?: SharedArrayBuffer): Promise<Ring> {
  if (kind === 'tspmd') {
    return new OurRing(memory ?? new SharedArrayBuffer(SpscRing.bytesFor(CAPACITY)), burst);
  }
  // Imported on demand, so that our ring can be measured without this package.
  const { RingBuffer } = await import('ringbuf.js');
  const shared = memory ?? RingBuffer.getStorageForCapacity(CAPACITY * ELEMENT_WORDS, Uint32Array);
  return new TheirRing(new RingBuffer(shared, Uint32Array), shared, burst);
}
