/** The rows of bulk transfer, the setup of the load and the servers, and what they answer. Seen from the server. */
import type { OffloadPolicy } from '../../../drivers/offloads.js';
import type { LoadSetup } from '../../common/sides.js';

/** The direction, seen from the server: `tx` when it sends. */
export type Direction = 'tx' | 'rx';

/** How the load asks for bytes: by the port that it connects to, or as a client of iperf3. */
export type Protocol = 'ports' | 'iperf3';

export interface BulkRow {
  readonly name: string;
  readonly direction: Direction;
  readonly offloads: OffloadPolicy;
}

const bulkRow = (direction: Direction, offloads: OffloadPolicy): BulkRow => ({
  name: `bulk/${direction}${offloads === 'auto' ? '/offload' : ''}`,
  ...{ direction, offloads },
});

export const BULK_ROWS: readonly BulkRow[] = [
  bulkRow('tx', 'off'),
  bulkRow('rx', 'off'),
  bulkRow('tx', 'auto'),
  bulkRow('rx', 'auto'),
];

/** A server sends the block without end (as RFC 864 has it), drops what comes (RFC 863), or compares it with the block. */
export const SOURCE_PORT = 19;
export const DISCARD_PORT = 9;
export const VERIFY_PORT = 7;
/** Bytes of the answer of {@link VERIFY_PORT} to the end of the data: how many came, and how many were wrong. */
export const VERDICT_BYTES = 8;

/** The setup of `bulk/load.ts`. */
export interface BulkSetup extends LoadSetup {
  readonly protocol: Protocol;
}

/** What the load answers to `run tx|rx MILLISECONDS`. */
export interface Run {
  /** Bytes that have come (tx), or that the server has acknowledged (rx). */
  readonly bytes: number;
  readonly seconds: number;
  /** The part of the time in which the load's loop found something to do. */
  readonly busy: number;
  /** Segments that the load has sent again. */
  readonly retransmitted: number;
}

/** What the load answers to `check tx|rx BYTES`. */
export interface Check {
  readonly bytes: number;
  /** Bytes that are not those of the block; null when iperf3 is the peer: it sends others, and compares none. */
  readonly wrong: number | null;
}
