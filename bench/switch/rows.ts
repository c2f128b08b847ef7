/** The rows of `bench -- switch`, and the setup and the answers of its loads. */

export interface RowSpec {
  readonly name: string;
  readonly traffic: 'unicast' | 'broadcast' | 'vxlan';
  /** Length of a frame of a VM, without FCS. */
  readonly bytes: number;
  readonly ports: number;
}

const SIZES = [64, 1500];

export const ROWS: readonly RowSpec[] = [
  ...(['unicast', 'broadcast'] as const).flatMap((traffic) =>
    SIZES.flatMap((bytes) => [2, 8].map((ports) => ({ name: `${traffic}/${bytes}/${ports}`, traffic, bytes, ports }))),
  ),
  ...SIZES.map((bytes) => ({ name: `vxlan/${bytes}`, traffic: 'vxlan', bytes, ports: 2 }) as const),
];

export interface Setup {
  /** One socket per port. */
  readonly sockets: readonly string[];
  readonly spec: RowSpec;
  readonly cpu: number;
  readonly hugepages: boolean;
  /** Whether the second port is the network, where frames are in VXLAN packets. */
  readonly hasNetwork: boolean;
}

export interface Run {
  /** Frames that arrived at ports. Broadcasts count at every port except the sender's. */
  readonly frames: number;
  readonly seconds: number;
  /** Whether frames have arrived at every port that counts them, in this run or before. */
  readonly isFlowing: boolean;
}

/** What a load has found out about frames that it has read whole. */
export interface Check {
  /** Frames that arrived as they should, by port. */
  readonly right: readonly number[];
  /** Others of the same length. */
  readonly wrong: number;
}

export const BROADCAST = 'ff:ff:ff:ff:ff:ff';
