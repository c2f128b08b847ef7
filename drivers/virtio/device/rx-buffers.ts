/**
 * The posted buffers that take one packet: collected as whole chains, then filled from their beginning (virtio 1.2,
 * 5.1.6.3 and 5.1.6.4). Of everything but the usual case, which is one chain of one descriptor for a packet in one piece.
 */
import { copyBetween } from '../../memory/index.js';
import { VIRTQ_DESC_F_WRITE } from '../layout/split.js';
import { MAX_BURST, type PacketBurst } from './packet-burst.js';
import { QueueCounter } from './queue-counters.js';
import { type DeviceRing, MAX_CHAIN_SEGMENTS } from './ring.js';

export class RxBuffers {
  /** Number of collected chains. */
  chains = 0;
  /** Number of chains that this put gave back empty because something was wrong with them. */
  malformed = 0;
  /** The collected chains: ids, places in the ring, bytes to write. */
  private readonly chainId = new Uint16Array(MAX_CHAIN_SEGMENTS);
  private readonly chainSpan = new Uint16Array(MAX_CHAIN_SEGMENTS);
  private readonly chainBytes = new Uint32Array(MAX_CHAIN_SEGMENTS);
  /** Where the next byte goes: a collected segment, and an offset in it. */
  private segment = 0;
  private segmentDone = 0;

  constructor(
    private readonly ring: DeviceRing,
    private readonly headerBytes: number,
    private readonly mergeable: boolean,
  ) {}

  /**
   * Collects posted chains with `needed` bytes in total: one chain or, with MRG_RXBUF, as many as it takes. Malformed
   * chains on the way are counted and given back. Returns false when the frame must be dropped (and counts it); sound
   * chains stay posted.
   */
  gather(needed: number): boolean {
    const ring = this.ring;
    const counts = ring.counts;
    let bytes = 0;
    this.chains = 0;
    ring.beginFrame();
    while (bytes < needed) {
      if (this.chains === MAX_CHAIN_SEGMENTS || (this.chains === 1 && !this.mergeable)) {
        counts[QueueCounter.noRoom]++;
        return false;
      }
      // Malformed chains are limited per put: while they are cleared away, all other ports wait.
      if (this.malformed === MAX_BURST || !ring.hasChain()) {
        counts[QueueCounter.noBuffer]++;
        return false;
      }
      const bad = this.addChain(needed - bytes);
      if (!ring.live) {
        counts[QueueCounter.noBuffer]++;
        return false;
      }
      if (bad === QueueCounter.badSegments && this.chains > 1) {
        // Each chain is sound, but together they have too many pieces.
        counts[QueueCounter.noRoom]++;
        return false;
      }
      if (bad === 0) {
        bytes += this.chainBytes[this.chains - 1];
      } else {
        counts[bad]++;
        this.giveBack();
        bytes = 0;
      }
    }
    this.segment = 0;
    this.segmentDone = 0;
    return true;
  }

  /**
   * Takes the place of the header, if all of it lies in the first segment. Returns its offset, or -1: then
   * {@link scatterHeader} writes it.
   */
  takeHeader(): number {
    if (this.ring.segmentLength[0] < this.headerBytes) return -1;
    this.segmentDone = this.headerBytes;
    return this.ring.segmentOffset[0];
  }

  /** Writes the first bytes of `header` over the first segments. */
  scatterHeader(header: Uint8Array): void {
    const { ring } = this;
    for (let i = 0; i < this.headerBytes; i++) {
      if (this.segmentDone === ring.segmentLength[this.segment]) this.nextSegment();
      ring.memory.u8[ring.segmentOffset[this.segment] + this.segmentDone++] = header[i];
    }
  }

  /** Writes the bytes of a packet. */
  scatterFrame(burst: PacketBurst, packet: number): void {
    const ring = this.ring;
    const end = burst.firstSegment[packet + 1];
    for (let s = burst.firstSegment[packet]; s < end; s++) {
      let source = burst.segmentOffset[s];
      let left = burst.segmentLength[s];
      while (left > 0) {
        let room = ring.segmentLength[this.segment] - this.segmentDone;
        if (room === 0) {
          this.nextSegment();
          room = ring.segmentLength[this.segment];
        }
        const bytes = Math.min(left, room);
        copyIn(ring, ring.segmentOffset[this.segment] + this.segmentDone, burst, source, bytes);
        this.segmentDone += bytes;
        source += bytes;
        left -= bytes;
      }
    }
  }

  /** Marks the collected chains as used. */
  use(): void {
    const { ring } = this;
    for (let i = 0; i < this.chains; i++) ring.use(this.chainId[i], this.chainSpan[i], this.chainBytes[i]);
    ring.commit();
  }

  /** Adds the next chain to the collected ones. Returns 0, or the counter of what is wrong with it. */
  private addChain(wanted: number): number {
    const ring = this.ring;
    const bytes = ring.walk(VIRTQ_DESC_F_WRITE, wanted);
    ring.advance();
    if (ring.chainSpan === 0) return -bytes;
    const chain = this.chains++;
    this.chainId[chain] = ring.chainId;
    this.chainSpan[chain] = ring.chainSpan;
    this.chainBytes[chain] = 0;
    if (bytes < 0) return -bytes;
    if (chain === 0 && bytes < this.headerBytes) return QueueCounter.smallBuffer;
    this.chainBytes[chain] = Math.min(bytes, wanted);
    return 0;
  }

  /**
   * Returns the collected chains empty because the last one is bad. Chains are used in order, so the ones before go
   * too.
   */
  private giveBack(): void {
    const ring = this.ring;
    this.malformed++;
    for (let i = 0; i < this.chains; i++) ring.use(this.chainId[i], this.chainSpan[i], 0);
    ring.commit();
    this.chains = 0;
    ring.beginFrame();
  }

  private nextSegment(): void {
    this.segment++;
    this.segmentDone = 0;
  }
}

/** Copies bytes of a burst into the memory of a ring. */
export function copyIn(ring: DeviceRing, to: number, burst: PacketBurst, from: number, bytes: number): void {
  if (burst.memory === ring.memory) ring.copy(to, from, bytes);
  else copyBetween(ring.memory, to, burst.memory, from, bytes);
}
