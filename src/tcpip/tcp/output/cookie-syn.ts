/** The SYN-ACK that carries a SYN cookie. It is made from the SYN alone, because there is no row. */
import type { MemoryViews } from '../../../../drivers/memory/index.js';
import { writeU16 } from '../../../wire/bytes.js';
import { finishSum, partialSum } from '../../../wire/checksum.js';
import { IP_PROTOCOL_TCP } from '../../../wire/ipv4.js';
import { TCP_ACK, TCP_ECE, TCP_HEADER_BYTES, TCP_SYN } from '../../../wire/tcp.js';
import type { OwnAddress } from '../../own-address.js';
import { TCP } from '../counters.js';
import type { Table } from '../state/table.js';
import type { SynOptions } from './handshake.js';
import { IP_PAYLOAD, type IpOutput } from './ip-output.js';
import { pseudoHeaderSum, writeSegmentHeader } from './segment-header.js';
import { writeSynOptions } from './write-options.js';

const MAX_FIELD = 0xffff;

/** The SYN that is answered. */
export interface ReceivedSyn extends SynOptions {
  readonly remote: number;
  readonly ports: number;
}

export class CookieSyn {
  /**
   * @param local our address
   * @param mss what we announce
   */
  constructor(
    private readonly table: Table,
    private readonly ip: IpOutput,
    private readonly memory: MemoryViews,
    private readonly local: OwnAddress,
    private readonly mss: number,
  ) {}

  /**
   * Sends the SYN-ACK.
   * @param iss the cookie
   * @param timestamp goes out when the SYN has timestamps; it then carries the other options, which do not otherwise
   * @param buffer size of the receive buffer
   * @param ownScale shift of the windows that we offer
   */
  send(syn: ReceivedSyn, iss: number, timestamp: number, buffer: number, ownScale: number, ecn: boolean): void {
    const { ip, memory, table } = this;
    const packet = ip.begin();
    if (packet === null) return;
    const { u8 } = memory;
    const { remote, hasTimestamps } = syn;
    const tcp = packet.offset + IP_PAYLOAD;
    const scale = hasTimestamps && syn.scale >= 0 ? ownScale : -1;
    const sack = hasTimestamps && syn.sackPermitted;
    const at = tcp + TCP_HEADER_BYTES;
    const end = writeSynOptions(u8, at, this.mss, scale, sack, hasTimestamps, timestamp, syn.tsValue);
    const header = end - tcp;
    const flags = TCP_SYN | TCP_ACK | (ecn ? TCP_ECE : 0);
    writeSegmentHeader(u8, tcp, syn.ports, iss, (syn.seq + 1) | 0, header, flags, Math.min(buffer, MAX_FIELD));
    const sum = pseudoHeaderSum(this.local.address, remote, header);
    writeU16(u8, tcp + 16, finishSum(partialSum(memory, tcp, header, sum)));
    if (ip.send(packet, IP_PROTOCOL_TCP, remote, header, 0)) table.count[TCP.tcp_segments_out]++;
  }
}
