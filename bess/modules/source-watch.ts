/**
 * Finds stations whose MAC address no L2Forward has an entry for: whatever is sent to such a station is dropped, which its user
 * sees only as silence. An endpoint without `--mac` has a random address and is one of them.
 *
 * Now and then one burst of each queue is looked at, the next that comes. So every station that goes on sending is found, and
 * the packet path pays one comparison per burst.
 */

import { formatMac } from '../../drivers/mac-address.js';
import type { PacketBurst } from '../../drivers/virtio/device/packet-burst.js';
import { L2Forward } from './l2-forward.js';
import type { Module } from './module.js';
import { PortInput } from './port-inc.js';

const MAC_BYTES = 6;
/** Where the source address begins in a frame, and where it ends. */
const SOURCE = 6;
const SOURCE_END = SOURCE + MAC_BYTES;
/** Addresses that are reported per port. A station can send from any number of them. */
const MAX_REPORTED = 8;
/** Entries of the script that a line names. */
const MAX_SHOWN = 8;

export class SourceWatch {
  private readonly inputs: readonly PortInput[];
  /** Only tables that drop what they do not know: with a default gate the script needs no entries. */
  private readonly tables: readonly L2Forward[];
  /** Per port: the addresses that were reported, and how a burst is looked at; null when enough were reported. */
  private readonly reported = new Map<string, Set<string>>();
  private readonly looks = new Map<string, ((burst: PacketBurst) => void) | null>();
  private readonly mac = new Uint8Array(MAC_BYTES);

  /** @param log gets one line per unknown address, and one when a port has too many of them */
  constructor(
    modules: readonly Module[],
    private readonly log: (line: string) => void,
  ) {
    this.tables = modules.filter((module) => module instanceof L2Forward).filter((table) => table.dropsUnknown);
    this.inputs = this.tables.length === 0 ? [] : modules.filter((module) => module instanceof PortInput);
    for (const { port } of this.inputs) {
      this.reported.set(port.name, new Set());
      this.looks.set(port.name, (burst) => this.look(port.name, burst));
    }
  }

  /** Looks at the next burst of each queue. */
  lookAtNext(): void {
    for (const input of this.inputs) {
      const look = this.looks.get(input.port.name) ?? null;
      if (look !== null) input.showNextBurst(look);
    }
  }

  private look(port: string, burst: PacketBurst): void {
    for (let packet = 0; packet < burst.count && this.looks.get(port) !== null; packet++) {
      if (this.readSource(burst, packet)) this.check(port, this.mac);
    }
  }

  /** False where the address is not one of a single station, or does not lie in the first piece of the frame. */
  private readSource(burst: PacketBurst, packet: number): boolean {
    const segment = burst.firstSegment[packet];
    if (burst.segmentLength[segment] < SOURCE_END) return false;
    const at = burst.segmentOffset[segment] + SOURCE;
    let any = 0;
    for (let i = 0; i < MAC_BYTES; i++) {
      this.mac[i] = burst.memory.u8[at + i];
      any |= this.mac[i];
    }
    return any !== 0 && (this.mac[0] & 1) === 0;
  }

  private check(port: string, mac: Uint8Array): void {
    if (this.tables.some((table) => table.has(mac))) return;
    const reported = this.reported.get(port) as Set<string>;
    const address = formatMac(mac);
    if (reported.has(address)) return;
    if (reported.size === MAX_REPORTED) {
      this.looks.set(port, null);
      this.log(`port ${port}: there are more addresses without an entry; they are not reported`);
      return;
    }
    reported.add(address);
    const table = this.tables[0];
    const missing = `${address} sends there, but ${table.name}::L2Forward has no entry for it: what is sent to it is dropped`;
    this.log(
      `port ${port}: ${missing}. ${this.entries(table)}: use one of them (--mac), or add this one to the script`,
    );
  }

  private entries(table: L2Forward): string {
    const stations = table.stations(MAX_SHOWN + 1);
    if (stations.length === 0) return 'The table has no entries for stations';
    const shown = stations.slice(0, MAX_SHOWN).map(({ addr, gate }) => `${addr} (to ${nameBehind(table, gate)})`);
    return `It has entries for ${shown.join(', ')}${stations.length > MAX_SHOWN ? ' and more' : ''}`;
  }
}

function nameBehind(table: L2Forward, gate: number): string {
  return table.gates[gate]?.next.name ?? `gate ${gate}, which is not connected`;
}
