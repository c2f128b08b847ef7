/**
 * Sends IP packets: finds the next hop and its MAC address, writes the Ethernet header into the headroom, and appends
 * the frame to the burst. A packet whose neighbour has not answered ARP yet is parked, and goes out when the neighbour
 * answers.
 */

import { FRAME_OFFSET, NO_BUFFER } from '../../rings/buffer-pool.js';
import { NeighbourState } from '../../rings/neighbour-reader.js';
import { L2, type L2Counters } from '../counters.js';
import { writeU16 } from '../wire/bytes.js';
import {
  BROADCAST_MAC,
  copyMac,
  ETH_HEADER_BYTES,
  ETHERTYPE_IPV4_WORD,
  writeEthSourceAndType,
} from '../wire/ethernet.js';
import { ipv4Destination } from '../wire/ipv4.js';
import type { TxBurst } from './bursts/tx-burst.js';
import { type CapturePoint, NO_CAPTURE } from './capture-point.js';
import { HOP_BROADCAST, HOP_GATEWAY, HOP_MULTICAST, HOP_NEIGHBOUR, HOP_SELF, type Host } from './host.js';
import type { FrameSink } from './lower-layer.js';
import {
  type NeighbourEvents,
  type NeighbourResolver,
  RESOLVE_BEGUN,
  RESOLVE_REFUSED,
} from './neighbours/neighbours.js';
import { ParkingLot } from './neighbours/parking.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const HEADER_BYTES = ETH_HEADER_BYTES;
const IPV4_TYPE = ETHERTYPE_IPV4_WORD;
const TX_QUEUED = L2.tx_queued;
const TO_NEIGHBOUR = HOP_NEIGHBOUR;
const TO_GATEWAY = HOP_GATEWAY;
/** 0.0.0.0 is never a neighbour. */
const NO_HOP = 0;
const NO_VERSION = -1;

export class Egress implements NeighbourEvents {
  private readonly lot = new ParkingLot();
  private readonly values: Float64Array;
  private readonly u8: Uint8Array;
  private readonly u16: Uint16Array;
  private readonly u32: Uint32Array;
  // The neighbour of the last packet, where the table has it, and its MAC address in memory words. Most packets of a
  // burst go to the same neighbour, and one load tells whether its entry was written since.
  private lastHop = NO_HOP;
  private lastAt = 0;
  private lastAs = 0;
  private mac0 = 0;
  private mac1 = 0;
  private mac2 = 0;
  // A destination to which two packets in a row went by this neighbour, the version of our addresses by which the
  // neighbour was found, and the Ethernet header, which begins at 2 mod 4 here as in a buffer.
  private lastDestination = NO_HOP;
  private lastVersion = NO_VERSION;
  private readonly header16 = new Uint16Array(new ArrayBuffer(HEADER_BYTES + 2));
  private readonly header32 = new Uint32Array(this.header16.buffer);
  private candidate = NO_HOP;

  /**
   * Sends the IP packet of `length` bytes at `ip` in the buffer `handle`.
   * @returns false when the ring is full: the caller keeps the buffer. Otherwise the buffer is queued, parked or
   * dropped.
   */
  readonly send: (handle: number, ip: number, length: number) => boolean;

  constructor(
    private readonly sink: FrameSink,
    private readonly host: Host,
    private readonly neighbours: NeighbourResolver,
    private readonly tx: TxBurst,
    counters: L2Counters,
    private readonly capture: CapturePoint = NO_CAPTURE,
  ) {
    this.values = counters.values;
    this.u8 = sink.memory.u8;
    this.u16 = sink.memory.u16;
    this.u32 = sink.memory.u32;
    neighbours.events = this;
    this.send = this.makeSend();
  }

  /** Packets that wait for ARP. */
  get parked(): number {
    return this.lot.count;
  }

  /** Buffers that these packets lie in. */
  get parkedBuffers(): number {
    return this.lot.buffers(this.sink.table);
  }

  /**
   * The short cut for a packet to the same destination as the last one: nothing but the Ethernet header is written. It
   * is short, so that V8 inlines it (docs/v8.md, "Inlining budget"), and stores words, because the stores of a packet
   * must not fill the CPU's store buffer (docs/v8.md, "Lines of another CPU").
   */
  private makeSend(): (handle: number, ip: number, length: number) => boolean {
    const sendOther = this.makeSendOther();
    return (handle, ip, length) => {
      const { u8, u16, u32, header16, header32, host, tx, values } = this;
      if (
        ipv4Destination(u8, ip) !== this.lastDestination ||
        !host.isVersion(this.lastVersion) ||
        !this.neighbours.table.isUnchanged(this.lastAt, this.lastAs) ||
        this.lot.count > 0
      ) {
        return sendOther(handle, ip, length);
      }
      const frame = ip - HEADER_BYTES;
      const at = (frame + 2) >>> 2;
      u16[frame >>> 1] = header16[1];
      u32[at] = header32[1];
      u32[at + 1] = header32[2];
      u32[at + 2] = header32[3];
      if (!tx.push(handle, length + HEADER_BYTES)) return false;
      values[TX_QUEUED]++;
      return true;
    };
  }

  /** A closure: docs/v8.md, "Bursts as closures". */
  private makeSendOther(): (handle: number, ip: number, length: number) => boolean {
    return (handle, ip, length) => {
      const { u8, u16, host, neighbours, tx, values } = this;
      const { version } = host;
      const frame = ip - HEADER_BYTES;
      const destination = ipv4Destination(u8, ip);
      const hop = host.nextHop(destination);
      let isKnown = false;
      if (hop >= TO_NEIGHBOUR) {
        const neighbour = hop === TO_GATEWAY ? host.gateway : destination;
        const to = frame >>> 1;
        const { table } = neighbours;
        if (neighbour === this.lastHop && table.isUnchanged(this.lastAt, this.lastAs)) {
          u16[to] = this.mac0;
          u16[to + 1] = this.mac1;
          u16[to + 2] = this.mac2;
          isKnown = true;
        } else {
          // Straight into the frame: if there is no MAC address, the table writes nothing.
          const state = table.lookup(neighbour, u16, to);
          if (!hasMac(state)) {
            this.park(neighbour, handle, length);
            return true;
          }
          if (state === NeighbourState.STALE) neighbours.reconfirm(neighbour);
          else {
            this.remember(neighbour, to);
            isKnown = true;
          }
        }
        // If another thread writes the table, the table can have a neighbour before this core is told. Parked packets
        // go first.
        if (this.lot.count > 0 && this.lot.mayHold(neighbour)) this.resolved(neighbour);
      } else if (hop === HOP_BROADCAST) {
        copyMac(u16, frame >>> 1, BROADCAST_MAC, 0);
      } else if (hop === HOP_MULTICAST) {
        writeMulticastMac(u8, frame, destination);
      } else {
        this.drop(handle, length, hop === HOP_SELF ? L2.tx_drop_to_self : L2.tx_drop_no_route);
        return true;
      }
      writeEthSourceAndType(u16, frame, host.mac, IPV4_TYPE);
      if (isKnown) {
        if (destination === this.candidate) this.rememberHeader(destination, version, frame);
        else this.candidate = destination;
      }
      if (!tx.push(handle, length + HEADER_BYTES)) return false;
      values[TX_QUEUED]++;
      return true;
    };
  }

  /** As {@link Core.nextHopMac}. */
  nextHopMac(destination: number): Uint8Array | null {
    const { host } = this;
    const hop = host.nextHop(destination | 0);
    if (hop < HOP_NEIGHBOUR) return null;
    const mac = new Uint16Array(3);
    const neighbour = hop === HOP_GATEWAY ? host.gateway : destination | 0;
    return hasMac(this.neighbours.table.lookup(neighbour, mac, 0)) ? new Uint8Array(mac.buffer) : null;
  }

  /** Remembers `neighbour`, which has just been looked up, and its MAC address at `to`. */
  private remember(neighbour: number, to: number): void {
    const { u16 } = this;
    const { foundAt, foundAs } = this.neighbours.table;
    this.lastHop = neighbour;
    this.lastVersion = NO_VERSION;
    this.lastAt = foundAt;
    this.lastAs = foundAs;
    this.mac0 = u16[to];
    this.mac1 = u16[to + 1];
    this.mac2 = u16[to + 2];
  }

  /** Remembers the Ethernet header at `frame`, which has just been written for the remembered neighbour. */
  private rememberHeader(destination: number, version: number, frame: number): void {
    const { u16, header16 } = this;
    const from = frame >>> 1;
    this.lastDestination = destination;
    this.lastVersion = version;
    for (let i = 0; i < HEADER_BYTES >>> 1; i++) header16[i + 1] = u16[from + i];
  }

  resolved(hop: number): void {
    for (let handle = this.lot.take(hop); handle !== NO_BUFFER; handle = this.lot.take(hop)) {
      const frame = this.sink.pool.offsetOf(handle) + FRAME_OFFSET;
      // If another thread writes the table, the neighbour may be gone again.
      if (!hasMac(this.neighbours.table.lookup(hop, this.u16, frame >>> 1))) {
        this.drop(handle, this.lot.takenLength, L2.tx_drop_unresolved);
        continue;
      }
      writeEthSourceAndType(this.u16, frame, this.host.mac, ETHERTYPE_IPV4_WORD);
      if (this.tx.push(handle, this.lot.takenLength + ETH_HEADER_BYTES)) this.values[L2.tx_queued]++;
      else this.drop(handle, this.lot.takenLength, L2.tx_drop_ring_full);
    }
  }

  failed(hop: number): void {
    for (let handle = this.lot.take(hop); handle !== NO_BUFFER; handle = this.lot.take(hop)) {
      this.drop(handle, this.lot.takenLength, L2.tx_drop_unresolved);
    }
  }

  private park(hop: number, handle: number, length: number): void {
    const asked = this.neighbours.resolve(hop);
    if (asked === RESOLVE_REFUSED) {
      this.drop(handle, length, L2.tx_drop_neighbours_full);
      return;
    }
    const lost = this.lot.park(hop, handle, length, asked === RESOLVE_BEGUN);
    if (lost !== handle) this.values[L2.tx_parked]++;
    if (lost !== NO_BUFFER) this.drop(lost, lost === handle ? length : this.lot.takenLength, L2.tx_drop_park_full);
  }

  private drop(handle: number, length: number, reason: number): void {
    this.values[reason]++;
    if (this.capture.wantsDrops) this.capture.droppedPacket(handle, length, reason);
    this.sink.table.free(handle, this.sink.pool);
  }
}

const hasMac = (state: number): boolean =>
  state === NeighbourState.REACHABLE || state === NeighbourState.STATIC || state === NeighbourState.STALE;

/** RFC 1112, 6.4: 01:00:5e and the low 23 bits of the group address. */
function writeMulticastMac(u8: Uint8Array, frame: number, group: number): void {
  writeU16(u8, frame, 0x0100);
  u8[frame + 2] = 0x5e;
  u8[frame + 3] = (group >>> 16) & 0x7f;
  writeU16(u8, frame + 4, group & 0xffff);
}
