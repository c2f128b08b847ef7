/**
 * Reports stations whose MAC address is in no L2Forward table. Packets to such a station are dropped, and its user sees
 * only that no answers come. An endpoint without `--mac` is such a station, because it has a random address.
 *
 * The switch inspects one burst of each queue per second. So it finds every station that keeps sending, and the packet
 * path pays only one comparison per burst.
 */
import type { EventSink } from '../../drivers/log/events.js';
import { formatMac, MAC_BYTES } from '../../drivers/mac-address.js';
import type { PacketBurst } from '../../drivers/virtio/device/packet-burst.js';
import { L2Forward } from './l2-forward.js';
import type { Module } from './module.js';
import { PortInput } from './port-inc.js';
import { TunnelModule } from './tunnel/tunnel-module.js';

/** Offsets in a frame of the source address and of the first byte behind it. */
const SOURCE = 6;
const SOURCE_END = SOURCE + MAC_BYTES;
/** The most addresses that are reported per port, because a station can send from any number of addresses. */
const MAX_REPORTED = 8;
/** The most table entries that one line names. */
const MAX_SHOWN = 8;

/** Inspects bursts of all input modules, and reports each unknown source address once. */
export class SourceWatch {
  private readonly inputs: readonly PortInput[];
  /** The tables that drop packets for unknown addresses. A table with a default gate needs no entries. */
  private readonly tables: readonly L2Forward[];
  /** The addresses that were reported, by name of the port. */
  private readonly reported = new Map<string, Set<string>>();
  /** The function that inspects a burst, by name of the port; null once the port has reported enough addresses. */
  private readonly inspectors = new Map<string, ((burst: PacketBurst) => void) | null>();
  private readonly mac = new Uint8Array(MAC_BYTES);

  /** @param log called with one line per unknown address, and with one line when a port has too many of them */
  constructor(
    modules: readonly Module[],
    private readonly log: EventSink,
  ) {
    this.tables = modules.filter((module) => module instanceof L2Forward).filter((table) => table.dropsUnknown);
    this.inputs = modules
      .filter((module) => module instanceof PortInput)
      .filter((input) => leadsTo(this.tables, input));
    for (const { port } of this.inputs) {
      this.reported.set(port.name, new Set());
      this.inspectors.set(port.name, (burst) => this.inspect(port.name, burst));
    }
  }

  /** Arranges that the next burst of each queue is inspected. */
  inspectNextBursts(): void {
    for (const input of this.inputs) {
      const inspect = this.inspectors.get(input.port.name) ?? null;
      if (inspect !== null) input.inspectNextBurst(inspect);
    }
  }

  private inspect(port: string, burst: PacketBurst): void {
    for (let packet = 0; packet < burst.count && this.inspectors.get(port) !== null; packet++) {
      if (this.readSource(burst, packet)) this.check(port, this.mac);
    }
  }

  /**
   * Reads the source address into `mac`. Returns false for a group address, zeros, or an address cut by a segment's
   * end.
   */
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

  /** Reports the address if no table has an entry for it. */
  private check(port: string, mac: Uint8Array): void {
    if (this.tables.some((table) => table.has(mac))) return;
    const reported = this.reported.get(port) as Set<string>;
    const address = formatMac(mac);
    if (reported.has(address)) return;
    if (reported.size === MAX_REPORTED) {
      this.inspectors.set(port, null);
      const line = `port ${port}: more stations have no entry; they are not reported`;
      this.log(line, { event: 'unknown-station', port, mac: null });
      return;
    }
    reported.add(address);
    const table = this.tables[0];
    const missing = `the station ${address} has no entry in ${table.name}::L2Forward, so packets to it are dropped`;
    const line = `port ${port}: ${missing}. ${adviceFor(table)}`;
    this.log(line, { event: 'unknown-station', port, mac: address });
  }
}

/**
 * Whether frames come from an input to one of the tables as they are. What comes out of a tunnel has other addresses, and
 * the stations of the network around it are not those of the tables.
 */
function leadsTo(tables: readonly Module[], input: Module): boolean {
  const found = new Set([input]);
  for (const module of found) {
    if (tables.includes(module)) return true;
    for (const gate of module.gates) {
      if (gate !== null && !(gate.next instanceof TunnelModule)) found.add(gate.next);
    }
  }
  return false;
}

/** Says which entries a table has, and what the user can do. */
function adviceFor(table: L2Forward): string {
  const stations = table.stations(MAX_SHOWN + 1);
  if (stations.length === 0) return 'The table has no entries for stations: add this address to the script';
  const shown = stations.slice(0, MAX_SHOWN).map(({ addr, gate }) => `${addr} (to ${nameBehind(table, gate)})`);
  const entries = `${shown.join(', ')}${stations.length > MAX_SHOWN ? ' and more' : ''}`;
  return `The table has entries for ${entries}: use one of these addresses (--mac), or add this one to the script`;
}

/** Returns the name of the module behind a gate. */
function nameBehind(table: L2Forward, gate: number): string {
  return table.gates[gate]?.next.name ?? `gate ${gate}, which is not connected`;
}
