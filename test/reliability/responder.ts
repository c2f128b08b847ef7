/** Answers the numbered requests of others, and checks that each is whole, meant for this endpoint, new and in order. */
import type { Core } from '../../src/link/core.js';
import type { PacketBuffer } from '../../src/link/packet-buffer.js';
import { IPV4_HEADER_BYTES, swapIpv4Addresses } from '../../src/wire/ipv4.js';
import { swapUdpPorts } from '../../src/wire/udp.js';
import { coreOf, epochOf, flowOf, fromOf, MAX_CORES, MAX_ENDPOINTS, MAX_FLOWS, sequenceOf, toOf } from './numbered.js';
import type { Tallies } from './tallies.js';

/** Packets of a flow that are remembered, to tell one that came twice from one that came late. */
const REMEMBERED = 256;
const FLOWS_OF_ENDPOINT = MAX_CORES * MAX_FLOWS;
const ALL_FLOWS = (MAX_ENDPOINTS + 1) * FLOWS_OF_ENDPOINT;

export class Responder {
  /** By endpoint. */
  private readonly epochs = new Int32Array(MAX_ENDPOINTS + 1).fill(-1);
  private readonly last = new Int32Array(ALL_FLOWS);
  private readonly seen = new Int32Array(ALL_FLOWS * REMEMBERED);

  constructor(
    private readonly core: Core,
    private readonly tallies: Tallies,
    private readonly self: number,
  ) {}

  /** Takes a request, a sound packet of another endpoint. The buffer is no longer the caller's. */
  take(buffer: PacketBuffer, payload: number): void {
    const { core, tallies } = this;
    const { u8 } = core.memory;
    if (!this.isGood(u8, payload)) {
      core.release(buffer);
      return;
    }
    swapIpv4Addresses(u8, buffer.offset);
    swapUdpPorts(u8, buffer.offset + IPV4_HEADER_BYTES);
    if (core.addBufferToRing(buffer)) {
      tallies.served++;
      return;
    }
    tallies.ring_full++;
    core.release(buffer);
  }

  private isGood(u8: Uint8Array, at: number): boolean {
    const { tallies } = this;
    if (toOf(u8, at) !== this.self) {
      tallies.misplaced++;
      return false;
    }
    const from = fromOf(u8, at);
    const epoch = epochOf(u8, at);
    if (epoch < this.epochs[from]!) {
      tallies.stale++;
      return false;
    }
    if (epoch > this.epochs[from]!) this.forget(from, epoch);
    const key = from * FLOWS_OF_ENDPOINT + coreOf(u8, at) * MAX_FLOWS + flowOf(u8, at);
    const sequence = sequenceOf(u8, at);
    const place = key * REMEMBERED + (sequence % REMEMBERED);
    if (this.seen[place] === sequence) {
      tallies.duplicate++;
      return false;
    }
    if (sequence < this.last[key]!) tallies.disorder++;
    this.seen[place] = sequence;
    this.last[key] = sequence;
    return true;
  }

  /** An endpoint was started again: its flows begin anew. */
  private forget(from: number, epoch: number): void {
    this.epochs[from] = epoch;
    this.last.fill(-1, from * FLOWS_OF_ENDPOINT, (from + 1) * FLOWS_OF_ENDPOINT);
    this.seen.fill(-1, from * FLOWS_OF_ENDPOINT * REMEMBERED, (from + 1) * FLOWS_OF_ENDPOINT * REMEMBERED);
  }
}
