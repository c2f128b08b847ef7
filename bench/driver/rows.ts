/** The rows of `bench -- driver`, and the arguments of the programs for each. */
import type { ForwardMode } from '../../scripts/testpmd.js';

export type Direction = 'tx' | 'rx' | 'forward';
export type Ring = 'split' | 'packed';

export interface RowSpec {
  readonly name: string;
  readonly direction: Direction;
  /** Length of a frame without FCS. */
  readonly bytes: number;
  /** Frames per burst of the contestant. */
  readonly burst: number;
  readonly ring: Ring;
  /** Whether our contestant uses the layer-2 API instead of the bare driver. */
  readonly isApi: boolean;
}

const DIRECTIONS = ['tx', 'rx', 'forward'] as const;
const SIZES = [64, 512, 1500];
const BURSTS = [1, 8, 32, 64];
const RINGS = ['split', 'packed'] as const;

export const ROWS: readonly RowSpec[] = [false, true].flatMap((isApi) =>
  DIRECTIONS.flatMap((direction) =>
    RINGS.flatMap((ring) =>
      SIZES.flatMap((bytes) =>
        BURSTS.map((burst) => ({
          ...{ name: `${isApi ? 'api-' : ''}${direction}/${bytes}/${burst}/${ring}`, isApi },
          ...{ direction, bytes, burst, ring },
        })),
      ),
    ),
  ),
);

/** A representative selection. */
export const QUICK = ROWS.filter(
  ({ bytes, burst, ring, isApi }) =>
    (bytes === 64 && burst === 32) ||
    (!isApi && ring === 'split' && (burst === 32 ? bytes === 1500 : burst === 1 && bytes === 64)),
);

/** For each direction, the forward modes of the backend and of the peer. */
export const MODES: Readonly<Record<Direction, { backend: ForwardMode; peer: ForwardMode }>> = {
  tx: { backend: 'rxonly', peer: 'txonly' },
  rx: { backend: 'txonly', peer: 'rxonly' },
  forward: { backend: 'flowgen', peer: 'macswap' },
};

/**
 * The addresses in all frames. Those of testpmd's mode flowgen are fixed in its source (flowgen.c), so the other modes
 * use them, too. flowgen counts destinations up; with one flow it sends to the first destination only.
 */
export const STATION = { ip: '10.253.0.0', prefix: 8, mac: '00:01:02:03:04:01' } as const;
export const GENERATOR = { ip: '10.254.0.0', mac: '00:01:02:03:04:00' } as const;

/** Returns testpmd's arguments that give its frames this length and the addresses of {@link STATION}. */
export function frameArguments(bytes: number): string[] {
  const addresses = [`--tx-ip=${GENERATOR.ip},${STATION.ip}`, `--eth-peer=0,${STATION.mac}`];
  return [`--txpkts=${bytes}`, ...addresses, '--flowgen-flows=1'];
}

/**
 * Returns options with which DPDK's virtio-user takes its fast paths. Without them, it negotiates features of slower
 * paths.
 */
export const peerOptions = (ring: Ring): string =>
  `${ring === 'packed' ? 'packed_vq=1,' : ''}mrg_rxbuf=0,in_order=0,queue_size=${PEER_QUEUE_SIZE}`;

const PEER_QUEUE_SIZE = 1024;
