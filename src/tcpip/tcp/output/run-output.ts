/**
 * Sends new data in runs of full segments, where the device does not cut packets. The segments of a run go out at the
 * same time with the same header, except sequence number and checksum: it is made once and copied by words. What goes out
 * is what {@link Output} would send segment by segment, by the same rules; each segment has its record in the sent ring.
 */
import { type MemoryViews, signedWords } from '../../../../drivers/memory/index.js';
import { OFFLOAD_CSUM } from '../../../../drivers/offloads.js';
import { swapBytes } from '../../../wire/bytes.js';
import { finishSum, foldSum, partialSum } from '../../../wire/checksum.js';
import { IP_PROTOCOL_TCP } from '../../../wire/ipv4.js';
import { TCP_CHECKSUM, TCP_HEADER_BYTES, TCP_SEQUENCE } from '../../../wire/tcp.js';
import type { OwnAddress } from '../../own-address.js';
import type { Recovery } from '../recovery/recovery.js';
import { copyOutAndSum } from '../state/region-copy.js';
import {
  FLAG_ECN,
  FLAG_FIN_SENT,
  FLAGS,
  MSS,
  PROGRESS_MS,
  REMOTE,
  ROW_SHIFT,
  SEND_BASE,
  SND_END,
  SND_NXT,
  SND_UNA,
  SND_WND,
} from '../state/rows.js';
import type { Table } from '../state/table.js';
import { IP_PAYLOAD, type IpOutput } from './ip-output.js';
import { pseudoHeaderSum } from './segment-header.js';
import type { Transmit } from './transmit.js';
import { MAX_OPTIONS_BYTES } from './write-options.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const PAYLOAD = IP_PAYLOAD;
const SHIFT = ROW_SHIFT;
/** Places in the header, in words. */
const SEQUENCE_WORD = (IP_PAYLOAD + TCP_SEQUENCE) >> 2;
const CHECKSUM_WORD = (IP_PAYLOAD + TCP_CHECKSUM) >> 2;
/** For fewer segments, the header is not worth a copy. */
const FEWEST = 2;

export class RunOutput {
  private readonly i32: Int32Array;
  private readonly words: Int32Array;
  /** The headers of IP and TCP, as words of the memory; sequence number and checksum are 0. */
  private readonly template = new Int32Array(new ArrayBuffer(IP_PAYLOAD + TCP_HEADER_BYTES + MAX_OPTIONS_BYTES));
  /** Bytes of the TCP header, and the partial sum over it and the pseudo header, as far as it is the same in the run. */
  private header = 0;
  private sum = 0;

  /** @param local our address */
  constructor(
    private readonly table: Table,
    private readonly recovery: Recovery,
    private readonly transmit: Transmit,
    private readonly ip: IpOutput,
    private readonly memory: MemoryViews,
    private readonly local: OwnAddress,
  ) {
    this.i32 = table.i32;
    this.words = signedWords(memory);
  }

  /**
   * Sends as many full segments as may go out now, if there are two or more.
   * @returns whether some were sent. Otherwise a single segment may still be allowed
   */
  send(r: number): boolean {
    const { i32, transmit, recovery } = this;
    if (transmit.isBlocked || (transmit.offloads & OFFLOAD_CSUM) !== 0) return false;
    // With ECN, segments differ in CWR.
    if ((i32[r + FLAGS] & (FLAG_FIN_SENT | FLAG_ECN)) !== 0) return false;
    const wanted = this.allowed(r);
    if (wanted < FEWEST || !recovery.reserve(r, wanted)) return false;
    const next = i32[r + SND_NXT];
    const mss = i32[r + MSS];
    const count = this.transmitRun(r, next, mss, wanted);
    if (count < wanted) transmit.block();
    if (count === 0) return false;
    recovery.sent(r, next, mss, count);
    transmit.sent(r, count);
    if (next === i32[r + SND_UNA]) i32[r + PROGRESS_MS] = this.table.clock.ms;
    i32[r + SND_NXT] = (next + count * mss) | 0;
    return true;
  }

  /** How many full segments may go out, without the one that ends the data: that one has PSH. */
  private allowed(r: number): number {
    const { i32 } = this;
    const next = i32[r + SND_NXT];
    const unsent = (i32[r + SND_END] - next) | 0;
    const mss = i32[r + MSS];
    if (unsent <= mss) return 0;
    const usable = (i32[r + SND_UNA] + i32[r + SND_WND] - next) | 0;
    const room = Math.min(unsent - 1, usable, this.recovery.allowance(r));
    return room < mss ? 0 : (room / mss) | 0;
  }

  /** Sends segments of `length` bytes. Returns how many: fewer than `count` when buffers run out, or the ring is full. */
  private transmitRun(r: number, from: number, length: number, count: number): number {
    const { i32, ip, memory, words } = this;
    const region = this.table.sendRegions[r >> SHIFT]!;
    const remote = i32[r + REMOTE];
    let seq = from;
    for (let i = 0; i < count; i++) {
      const buffer = ip.begin();
      if (buffer === null) return i;
      const { offset } = buffer;
      if (i === 0) this.makeHeader(r, buffer.offset, seq, length);
      const { header } = this;
      this.copyHeader(offset >> 2, (PAYLOAD + header) >> 2);
      const at = offset >> 2;
      words[at + SEQUENCE_WORD] = swapBytes(seq);
      const place = (seq - i32[r + SEND_BASE]) | 0;
      const sum = copyOutAndSum(region, place, memory, offset + PAYLOAD + header, length);
      const checksum = finishSum(this.sum + (seq >>> 16) + (seq & 0xffff) + sum);
      words[at + CHECKSUM_WORD] = ((checksum & 0xff) << 8) | (checksum >>> 8);
      buffer.length = PAYLOAD + header + length;
      if (!ip.push(buffer, remote)) return i;
      seq = (seq + length) | 0;
    }
    return count;
  }

  /** Makes the header for segments of `length` bytes, with the buffer at `offset` as the place to write it. */
  private makeHeader(r: number, offset: number, seq: number, length: number): void {
    const { i32, transmit, memory, words, template } = this;
    const remote = i32[r + REMOTE];
    const tcp = offset + PAYLOAD;
    const header = transmit.writeHeader(r, tcp, seq, length, 0);
    const at = offset >> 2;
    words[at + SEQUENCE_WORD] = 0;
    this.ip.writeHeader(offset, IP_PROTOCOL_TCP, remote, header + length, transmit.tos);
    for (let i = 0; i < (PAYLOAD + header) >> 2; i++) template[i] = words[at + i];
    this.header = header;
    this.sum = foldSum(partialSum(memory, tcp, header, pseudoHeaderSum(this.local.address, remote, header + length)));
  }

  private copyHeader(at: number, count: number): void {
    const { words, template } = this;
    for (let i = 0; i < count; i++) words[at + i] = template[i];
  }
}
