/** The rows of `bench -- driver`, and what each means for the programs that take part. */
import type { ForwardMode } from '../../scripts/testpmd.js';

export type Direction = 'tx' | 'rx' | 'forward';
export type Ring = 'split' | 'packed';

export interface Scene {
  readonly name: string;
  readonly direction: Direction;
  /** Of a frame, without FCS. */
  readonly bytes: number;
  /** Frames that the contestant handles at once. */
  readonly burst: number;
  readonly ring: Ring;
  /** Through the layer-2 API instead of the bare driver. */
  readonly isApi: boolean;
}

const DIRECTIONS = ['tx', 'rx', 'forward'] as const;
const SIZES = [64, 512, 1500];
const BURSTS = [1, 8, 32, 64];
const RINGS = ['split', 'packed'] as const;

export const SCENES: readonly Scene[] = [false, true].flatMap((isApi) =>
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

/** Those that stand for the others. */
export const QUICK = SCENES.filter(
  ({ bytes, burst, ring, isApi }) =>
    (bytes === 64 && burst === 32) ||
    (!isApi && ring === 'split' && (burst === 32 ? bytes === 1500 : burst === 1 && bytes === 64)),
);

/** What the backend does for a direction of the contestant, and what the peer does. */
export const MODES: Readonly<Record<Direction, { backend: ForwardMode; peer: ForwardMode }>> = {
  tx: { backend: 'rxonly', peer: 'txonly' },
  rx: { backend: 'txonly', peer: 'rxonly' },
  forward: { backend: 'flowgen', peer: 'macswap' },
};

/**
 * The addresses in the frames of testpmd: those of its flowgen mode are fixed in its source (flowgen.c), so the others use
 * them, too. flowgen counts destinations up from the first; with one flow it sends to that alone.
 */
export const STATION = { ip: '10.253.0.0', prefix: 8, mac: '00:01:02:03:04:01' } as const;
export const GENERATOR = { ip: '10.254.0.0', mac: '00:01:02:03:04:00' } as const;

/** testpmd's own arguments that make its frames those of the scene, all for {@link STATION}. */
export function frameArguments(bytes: number): string[] {
  const addresses = [`--tx-ip=${GENERATOR.ip},${STATION.ip}`, `--eth-peer=0,${STATION.mac}`];
  return [`--txpkts=${bytes}`, ...addresses, '--flowgen-flows=1'];
}

/** The fast paths of DPDK's virtio-user; without these options it negotiates what takes its slower ones. */
export const peerOptions = (ring: Ring): string =>
  `${ring === 'packed' ? 'packed_vq=1,' : ''}mrg_rxbuf=0,in_order=0,queue_size=${PEER_QUEUE_SIZE}`;

const PEER_QUEUE_SIZE = 1024;
