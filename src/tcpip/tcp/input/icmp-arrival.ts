/**
 * ICMP errors about our segments. Anybody can send them, so one counts only when it quotes a sequence number that is in
 * flight (RFC 5927, 4.1). On an open connection only "fragmentation needed" is obeyed (RFC 1191); the others are noted
 * (RFC 5927, 5.2; RFC 1122, 4.2.3.9).
 */

import { readI32 } from '../../../wire/bytes.js';
import { ICMP_DESTINATION_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED } from '../../../wire/icmp.js';
import { ipv4Destination, ipv4HeaderLength, isIpv4Fragment } from '../../../wire/ipv4.js';
import type { WireMemory } from '../../../wire/memory.js';
import { icmpNetError, isNetworkCode } from '../../ip/icmp-net-error.js';
import { TCP } from '../counters.js';
import type { Closing } from '../output/closing.js';
import type { IpOutput } from '../output/ip-output.js';
import type { PathMtuChange } from '../output/path-mtu-change.js';
import { PORTS, REMOTE, ROW_SHIFT, SND_NXT, SND_UNA, SOFT_ERROR, STATE, STATE_SYN_SENT } from '../state/rows.js';
import { SOFT_HOST, SOFT_NETWORK } from '../state/soft-errors.js';
import type { Table } from '../state/table.js';

/** Ports and sequence number: what every quote has (RFC 792). */
const QUOTED_BYTES = 8;

export class IcmpArrival {
  constructor(
    private readonly table: Table,
    private readonly ip: IpOutput,
    private readonly closing: Closing,
    private readonly pathMtu: PathMtuChange,
  ) {}

  /** As {@link TransportProtocol.icmpError}. */
  receive(type: number, code: number, mtu: number, memory: WireMemory, quoted: number, length: number): void {
    const { table } = this;
    const { i32, count } = table;
    const { u8 } = memory;
    const header = ipv4HeaderLength(u8, quoted);
    const r = length < header + QUOTED_BYTES || isIpv4Fragment(u8, quoted) ? -1 : this.find(u8, quoted, header);
    if (r < 0) {
      count[TCP.tcp_icmp_ignored]++;
      return;
    }
    if (type === ICMP_DESTINATION_UNREACHABLE && code === ICMP_FRAGMENTATION_NEEDED) {
      this.ip.reduceMtu(ipv4Destination(u8, quoted), mtu);
      this.pathMtu.apply(r);
      return;
    }
    if (type === ICMP_DESTINATION_UNREACHABLE && i32[r + STATE] === STATE_SYN_SENT) {
      count[TCP.tcp_icmp_hard]++;
      this.closing.finish(r, icmpNetError(type, code, i32[r + REMOTE], i32[r + PORTS] & 0xffff));
      return;
    }
    count[TCP.tcp_icmp_soft]++;
    if (type === ICMP_DESTINATION_UNREACHABLE) i32[r + SOFT_ERROR] = isNetworkCode(code) ? SOFT_NETWORK : SOFT_HOST;
  }

  /** The row that the quoted segment belongs to, if its sequence number is in flight; otherwise -1. */
  private find(u8: Uint8Array, quoted: number, header: number): number {
    const { flows, i32 } = this.table;
    const tcp = quoted + header;
    const row = flows.find(ipv4Destination(u8, quoted), readI32(u8, tcp));
    if (row < 0) return -1;
    const r = row << ROW_SHIFT;
    const seq = readI32(u8, tcp + 4);
    const isInFlight = ((seq - i32[r + SND_UNA]) | 0) >= 0 && ((seq - i32[r + SND_NXT]) | 0) < 0;
    return isInFlight ? r : -1;
  }
}
