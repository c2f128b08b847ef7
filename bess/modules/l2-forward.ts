/**
 * L2Forward: chooses the output gate by the destination MAC address (BESS: l2_forward.cc).
 *
 * The script says which address is behind which gate. As in BESS this module learns no addresses, and it can send a
 * packet back to the port that it came from. A packet for an unknown address leaves by the default gate, or is dropped
 * if there is no default gate.
 */
import { formatMac, MAC_BYTES as MAC_ADDRESS_BYTES, macOctets } from '../../drivers/mac-address.js';
import type { PacketBurst } from '../../drivers/virtio/device/packet-burst.js';
import { BessError } from '../errors.js';
import type { Batch } from './batch.js';
import { MacTable, NOT_FOUND } from './mac-table.js';
import { DROP_GATE } from './module.js';
import { Splitter } from './splitter.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const MAC_BYTES = MAC_ADDRESS_BYTES;
const MAX_TABLE_SIZE = 1048576 * 64;
const MAX_BUCKET_SIZE = 4;
const DEFAULT_TABLE_SIZE = 1024;
/**
 * Stands for the gate of a frame that is too short for a destination address: it is dropped, despite a default gate.
 */
const NO_ADDRESS = 0xffff;
/** How many MAC addresses there are. */
const ADDRESSES = 2 ** 48;

/** An entry of the table, as a script writes it. */
export interface MacEntry {
  /** `aa:bb:cc:dd:ee:ff`. */
  readonly addr: string;
  readonly gate: number;
}

/** BESS reads a MAC address with sscanf: an octet may have one digit. */
const MAC_FORM = /^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i;

/** Returns the six octets of a MAC address. Throws EINVAL when the text is not a MAC address. */
export function parseMac(text: string): Uint8Array {
  const mac = macOctets(text.trim(), MAC_FORM);
  if (mac === null) throw new BessError('EINVAL', `${text} is not a proper mac address`);
  return mac;
}

/** Returns octets 0 to 3, as {@link MacTable} takes them. */
function headOf(mac: Uint8Array): number {
  return mac[0] | (mac[1] << 8) | (mac[2] << 16) | (mac[3] << 24);
}

/** Returns octets 4 and 5, as {@link MacTable} takes them. */
function tailOf(mac: Uint8Array): number {
  return mac[4] | (mac[5] << 8);
}

function isPowerOf2(n: number): boolean {
  return Number.isInteger(n) && n > 0 && (n & (n - 1)) === 0;
}

export class L2Forward extends Splitter {
  override readonly className = 'L2Forward';
  /**
   * Packets dropped because no entry has their destination and there is no default gate. `deadends` counts them as
   * well.
   */
  unknown = 0;
  private readonly table: MacTable;
  private defaultGate = DROP_GATE;
  /** The destination address of a frame that has it in several segments. */
  private readonly gathered = new Uint8Array(MAC_BYTES);

  /**
   * Throws EINVAL for a size or bucket that is not possible. The table takes `size` x `bucket` addresses.
   * @param size number of buckets, a power of two; 0: 1024
   * @param bucket slots per bucket: 1, 2 or 4; 0: 4
   */
  constructor(name: string, size = 0, bucket = 0) {
    super(name);
    const entries = size === 0 ? DEFAULT_TABLE_SIZE : size;
    const slots = bucket === 0 ? MAX_BUCKET_SIZE : bucket;
    if (!isPowerOf2(entries) || entries > MAX_TABLE_SIZE || !isPowerOf2(slots) || slots > MAX_BUCKET_SIZE) {
      const limits = `size must be a power of two up to ${MAX_TABLE_SIZE}, bucket must be 1, 2 or 4`;
      throw new BessError(
        'EINVAL',
        `initialization failed with argument size: '${entries}' bucket: '${slots}' (${limits})`,
      );
    }
    this.table = new MacTable(entries * slots);
  }

  override describe(): string {
    return `${this.table.size} ${this.table.size === 1 ? 'address' : 'addresses'}`;
  }

  /** Adds entries in order. Throws EINVAL, EEXIST or ENOMEM at the first bad one; the entries before it stay. */
  add(entries: readonly MacEntry[]): void {
    for (const { addr, gate } of entries) {
      if (addr === '') throw new BessError('EINVAL', 'add list item map must contain addr as a string');
      const mac = parseMac(addr);
      if (this.table.find(headOf(mac), tailOf(mac)) !== NOT_FOUND) {
        throw new BessError('EEXIST', `MAC address '${addr}' already exist`);
      }
      if (!this.table.add(headOf(mac), tailOf(mac), gate)) throw new BessError('ENOMEM', 'Not enough space');
    }
  }

  /** Removes addresses in order. Throws EINVAL or ENOENT at the first bad one; the addresses before it stay removed. */
  delete(addresses: readonly string[]): void {
    for (const addr of addresses) {
      const mac = parseMac(addr);
      if (!this.table.delete(headOf(mac), tailOf(mac))) {
        throw new BessError('ENOENT', `MAC address '${addr}' does not exist`);
      }
    }
  }

  /** Returns the gate of each address. Throws EINVAL or ENOENT. */
  lookup(addresses: readonly string[]): number[] {
    return addresses.map((addr) => {
      const mac = parseMac(addr);
      const gate = this.table.find(headOf(mac), tailOf(mac));
      if (gate === NOT_FOUND) throw new BessError('ENOENT', `MAC address '${addr}' does not exist`);
      return gate;
    });
  }

  /** Whether the table has an entry for an address of six octets. */
  has(mac: Uint8Array): boolean {
    return this.table.find(headOf(mac), tailOf(mac)) !== NOT_FOUND;
  }

  /** True if packets for unknown addresses are dropped: there is no default gate, or it is not connected. */
  get dropsUnknown(): boolean {
    return !this.gates[this.defaultGate];
  }

  /** Returns up to `max` entries for single stations, in no particular order. */
  stations(max: number): MacEntry[] {
    const found: MacEntry[] = [];
    this.table.visit((head, tail, gate) => {
      // The lowest bit of the first octet marks a group address (IEEE 802, 8.2).
      const octets = [head & 0xff, (head >>> 8) & 0xff, (head >>> 16) & 0xff, head >>> 24, tail & 0xff, tail >>> 8];
      if ((octets[0] & 1) === 0) found.push({ addr: formatMac(octets), gate });
      return found.length < max;
    });
    return found;
  }

  /** Sets the gate for packets whose destination has no entry. */
  setDefaultGate(gate: number): void {
    this.defaultGate = gate & 0xffff;
  }

  /**
   * Adds `count` addresses that count up from `base`, with the gates 0 to gateCount - 1 in turn. Addresses that have an
   * entry already keep their gate. BESS documents the same, but its code drops the last two octets of `base`. Throws
   * EINVAL or ENOMEM.
   */
  populate(base: string, count: number, gateCount: number): void {
    if (base === '') throw new BessError('EINVAL', 'base must exist in gen, and must be string');
    if (gateCount <= 0) throw new BessError('EINVAL', `gate_count must be 1 or more, not ${gateCount}`);
    const mac = parseMac(base);
    let value = mac.reduce((sum, octet) => sum * 256 + octet, 0);
    for (let i = 0; i < count; i++) {
      for (let octet = MAC_BYTES - 1, rest = value; octet >= 0; octet--, rest = Math.floor(rest / 256)) {
        mac[octet] = rest % 256;
      }
      const known = this.table.find(headOf(mac), tailOf(mac)) !== NOT_FOUND;
      if (!known && !this.table.add(headOf(mac), tailOf(mac), i % gateCount)) {
        throw new BessError('ENOMEM', 'Not enough space');
      }
      value = (value + 1) % ADDRESSES;
    }
  }

  override process(batch: Batch): void {
    const { burst, indices, count } = batch;
    const gateOf = this.gateOf;
    const first = this.gateFor(burst, indices[0]);
    gateOf[0] = first;
    let uniform = true;
    for (let i = 1; i < count; i++) {
      const gate = this.gateFor(burst, indices[i]);
      gateOf[i] = gate;
      if (gate !== first) uniform = false;
    }
    // Usually all packets of a batch leave by one gate: pass on the batch itself.
    if (uniform) this.send(first, batch);
    else this.split(batch);
  }

  protected override send(gate: number, batch: Batch): void {
    if (gate === DROP_GATE || gate === NO_ADDRESS) this.unknown += batch.count;
    this.emit(gate, batch);
  }

  /** Returns the gate of a packet of a burst. */
  private gateFor(burst: PacketBurst, packet: number): number {
    const segment = burst.firstSegment[packet];
    if (burst.segmentLength[segment] < MAC_BYTES) return this.gateOfScattered(burst, packet);
    const at = burst.segmentOffset[segment];
    let head: number;
    let tail: number;
    if ((at & 1) === 0) {
      const u16 = burst.memory.u16;
      const i = at >>> 1;
      head = u16[i] | (u16[i + 1] << 16);
      tail = u16[i + 2];
    } else {
      const u8 = burst.memory.u8;
      head = u8[at] | (u8[at + 1] << 8) | (u8[at + 2] << 16) | (u8[at + 3] << 24);
      tail = u8[at + 4] | (u8[at + 5] << 8);
    }
    const gate = this.table.find(head, tail);
    return gate === NOT_FOUND ? this.defaultGate : gate;
  }

  /**
   * As {@link gateFor}, for an address in several segments: a driver may cut a frame anywhere (virtio 1.2, 2.7.4.2).
   */
  private gateOfScattered(burst: PacketBurst, packet: number): number {
    const mac = this.gathered;
    if (burst.gather(packet, mac) < MAC_BYTES) return NO_ADDRESS;
    const gate = this.table.find(headOf(mac), tailOf(mac));
    return gate === NOT_FOUND ? this.defaultGate : gate;
  }
}
