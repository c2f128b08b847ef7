/**
 * Answers to segments that belong to no connection: RST (RFC 9293, 3.5.2), and the ACK of a connection in TIME_WAIT.
 * They are made from the segment alone. Both are limited in number, so that they cannot be used to flood others.
 */
import type { MemoryViews } from '../../../../drivers/memory/index.js';
import { writeU16 } from '../../../wire/bytes.js';
import { finishSum, partialSum } from '../../../wire/checksum.js';
import { IP_PROTOCOL_TCP } from '../../../wire/ipv4.js';
import { TCP_ACK, TCP_HEADER_BYTES, TCP_RST } from '../../../wire/tcp.js';
import type { FastRandom } from '../../ip/random.js';
import type { OwnAddress } from '../../own-address.js';
import { TCP } from '../counters.js';
import { RateLimit } from '../state/rate-limit.js';
import type { Table } from '../state/table.js';
import { IP_PAYLOAD, type IpOutput } from './ip-output.js';
import { pseudoHeaderSum, writeSegmentHeader } from './segment-header.js';
import { writeTimestamps } from './write-options.js';

/** RST and ACK per second without a connection. */
const PER_SECOND = 1000;

export class Resets {
  private readonly limit: RateLimit;

  /** @param local our address */
  constructor(
    private readonly table: Table,
    private readonly ip: IpOutput,
    private readonly memory: MemoryViews,
    private readonly local: OwnAddress,
    random: FastRandom,
  ) {
    this.limit = new RateLimit(PER_SECOND, random);
  }

  /** Resets what the peer believes to be a connection. With `TCP_ACK` in `flags`, `ack` goes out. */
  reset(remote: number, ports: number, seq: number, ack: number, flags: number): void {
    const { count, clock } = this.table;
    if (!this.limit.take(clock.ms)) {
      count[TCP.tcp_reset_limited]++;
      return;
    }
    if (this.send(remote, ports, seq, ack, TCP_RST | flags, 0, false, 0, 0)) count[TCP.tcp_resets_sent]++;
  }

  /** Acknowledges a segment of a connection that has no row. */
  acknowledge(
    remote: number,
    ports: number,
    seq: number,
    ack: number,
    window: number,
    hasTimestamps: boolean,
    value: number,
    echo: number,
  ): void {
    const { count, clock } = this.table;
    if (this.limit.take(clock.ms)) this.send(remote, ports, seq, ack, TCP_ACK, window, hasTimestamps, value, echo);
    else count[TCP.tcp_challenge_limited]++;
  }

  private send(
    remote: number,
    ports: number,
    seq: number,
    ack: number,
    flags: number,
    window: number,
    hasTimestamps: boolean,
    value: number,
    echo: number,
  ): boolean {
    const { ip, memory, table } = this;
    const buffer = ip.begin();
    if (buffer === null) return false;
    const { u8 } = memory;
    const tcp = buffer.offset + IP_PAYLOAD;
    let end = tcp + TCP_HEADER_BYTES;
    if (hasTimestamps) end = writeTimestamps(u8, end, value, echo);
    const header = end - tcp;
    writeSegmentHeader(u8, tcp, ports, seq, ack, header, flags, window);
    const sum = pseudoHeaderSum(this.local.address, remote, header);
    writeU16(u8, tcp + 16, finishSum(partialSum(memory, tcp, header, sum)));
    const isSent = ip.send(buffer, IP_PROTOCOL_TCP, remote, header, 0);
    if (isSent) table.count[TCP.tcp_segments_out]++;
    return isSent;
  }
}
