/**
 * Sends the ARP frames that are no replies: requests for a neighbour, and announcements of our own address (RFC 5227).
 */

import { FRAME_OFFSET, NO_BUFFER } from '../../../rings/buffer-pool.js';
import { L2, type L2Counters } from '../../counters.js';
import { ARP_BYTES, ARP_REQUEST, writeArp } from '../../wire/arp.js';
import {
  BROADCAST_MAC,
  copyMac,
  ETH_HEADER_BYTES,
  ETHERTYPE_ARP_WORD,
  NO_MAC,
  writeEthSourceAndType,
} from '../../wire/ethernet.js';
import type { TxBurst } from '../bursts/tx-burst.js';
import type { Host } from '../host.js';
import type { BufferSource } from '../lower-layer.js';
import type { NeighbourAsker } from './neighbours.js';

export const ARP_FRAME_BYTES = ETH_HEADER_BYTES + ARP_BYTES;

/** RFC 5227, 1.1: ANNOUNCE_NUM, ANNOUNCE_INTERVAL and DEFEND_INTERVAL. */
const ANNOUNCEMENTS = 2;
const ANNOUNCE_MS = 2000;
const DEFEND_MS = 10_000;

export class ArpSender implements NeighbourAsker {
  private readonly values: Float64Array;
  private announcementsLeft = 0;
  private nextAnnouncement = Number.POSITIVE_INFINITY;
  private quietUntil = 0;

  /** @param clock milliseconds, monotonic */
  constructor(
    private readonly source: BufferSource,
    private readonly host: Host,
    private readonly tx: TxBurst,
    counters: L2Counters,
    private readonly clock: () => number,
  ) {
    this.values = counters.values;
  }

  /** Asks who has `ip`: all stations, or the one station `to`. */
  request(ip: number, to: Uint16Array): void {
    if (this.send(ip, to)) this.values[L2.arp_requests]++;
  }

  /** Asks whether a station has `ip`, before it is ours: while we have no address (RFC 5227, 2.1.1). */
  probe(ip: number): void {
    if (this.send(ip, BROADCAST_MAC)) this.values[L2.arp_probes]++;
  }

  /** Announces our address now, and once more after two seconds (RFC 5227, 2.3). */
  announce(): void {
    this.announcementsLeft = ANNOUNCEMENTS;
    this.nextAnnouncement = this.clock();
    this.tick(this.nextAnnouncement);
  }

  /** Another station uses our address: announces it once, and then not again for 10 s (RFC 5227, 2.4 b). */
  defend(): void {
    const now = this.clock();
    if (now < this.quietUntil) return;
    this.quietUntil = now + DEFEND_MS;
    this.sendAnnouncement();
  }

  /** Sends the announcement that is due at `now`. */
  tick(now: number): void {
    if (now < this.nextAnnouncement) return;
    this.sendAnnouncement();
    this.nextAnnouncement = --this.announcementsLeft > 0 ? now + ANNOUNCE_MS : Number.POSITIVE_INFINITY;
  }

  /** When {@link tick} has something to do next; Infinity when it has not. */
  nextDeadline(): number {
    return this.nextAnnouncement;
  }

  private sendAnnouncement(): void {
    if (this.host.address !== 0 && this.send(this.host.address, BROADCAST_MAC)) this.values[L2.arp_announcements]++;
  }

  /**
   * Sends a request for `ip`; a request for our own address is an announcement, one without our address a probe. Returns false, and counts, if that
   * failed.
   */
  private send(ip: number, to: Uint16Array): boolean {
    const { pool, memory } = this.source;
    if (pool.available === 0) this.source.reclaimTx();
    const handle = pool.get();
    if (handle === NO_BUFFER) {
      this.values[L2.arp_no_buffer]++;
      return false;
    }
    const frame = pool.offsetOf(handle) + FRAME_OFFSET;
    copyMac(memory.u16, frame >>> 1, to, 0);
    writeEthSourceAndType(memory.u16, frame, this.host.mac, ETHERTYPE_ARP_WORD);
    writeArp(memory, frame + ETH_HEADER_BYTES, ARP_REQUEST, this.host.mac, this.host.address, NO_MAC, ip);
    if (this.tx.push(handle, ARP_FRAME_BYTES)) return true;
    this.values[L2.arp_ring_full]++;
    pool.put(handle);
    return false;
  }
}
