/**
 * Source ports of outgoing connections: the double-hash algorithm of RFC 6056, 3.3.4, with random steps as in its
 * section 3.3.5. An outsider cannot guess the next port to a destination, and a port is used again as late as possible.
 */
import { SipHash } from '../../hash/siphash.js';

/** The range that Linux uses. */
const FIRST_PORT = 32_768;
const LAST_PORT = 60_999;
/** Destinations share this many counters. */
const COUNTERS = 256;
/** A step is 1 to 8 ports. */
const STEP_MASK = 7;
const STEP_BITS = 3;
/** Steps in the 30 bits of a hash that are used. */
const STEPS = 10;
const FOR_OFFSET = 0;
const FOR_STEP = 1;

/** Whether a connection may use a local port: its flow is free, and its packets come to this core. */
export type PortTest = (remote: number, remotePort: number, localPort: number) => boolean;

export class SourcePorts {
  private readonly hash: SipHash;
  private readonly counters = new Int32Array(new ArrayBuffer(4 * COUNTERS));
  private readonly count: number;
  /** How many hashes were made for steps, and what is left of the last one. */
  private hashes = 0;
  private steps = 0;
  private stepsLeft = 0;
  /** The destination of the last connection, and what the hash of it says. */
  private remote = 0;
  private remotePort = -1;
  private offset = 0;
  private counter = 0;

  /**
   * @param key 16 random bytes
   * @param first the lowest port
   * @param last the highest port
   */
  constructor(
    key: Uint8Array,
    private readonly first = FIRST_PORT,
    last = LAST_PORT,
  ) {
    this.hash = new SipHash(key);
    this.count = last - first + 1;
  }

  /**
   * Chooses the local port of a new connection. Tries each port at most once.
   * @param remote the peer's address, int32
   * @returns the port, or 0 when none is usable
   */
  choose(remote: number, remotePort: number, isUsable: PortTest): number {
    if (remote !== this.remote || remotePort !== this.remotePort) this.setDestination(remote, remotePort);
    const { counters, count, counter } = this;
    let next = (this.offset + counters[counter]) % count;
    for (let tried = 1; tried <= count; tried++) {
      const port = this.first + next;
      if (isUsable(remote, remotePort, port)) {
        counters[counter] = (counters[counter] + tried + this.step()) % count;
        return port;
      }
      if (++next === count) next = 0;
    }
    return 0;
  }

  private setDestination(remote: number, remotePort: number): void {
    this.remote = remote;
    this.remotePort = remotePort;
    this.offset = (this.hash.hash(remote, remotePort, FOR_OFFSET, 0) >>> 1) % this.count;
    this.counter = this.hash.high & (COUNTERS - 1);
  }

  /** How many ports are left out after one that was chosen: 0 to 7, random. */
  private step(): number {
    if (this.stepsLeft === 0) {
      this.hashes = (this.hashes + 1) | 0;
      this.steps = this.hash.hash(this.hashes, 0, FOR_STEP, 0);
      this.stepsLeft = STEPS;
    }
    const step = this.steps & STEP_MASK;
    this.steps >>= STEP_BITS;
    this.stepsLeft--;
    return step;
  }
}
