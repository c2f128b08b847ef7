/** The rows of `bench -- switch`, and the setup and the answers of its load. */

export interface RowSpec {
  readonly name: string;
  readonly traffic: 'unicast' | 'broadcast';
  /** Length of a frame without FCS. */
  readonly bytes: number;
  readonly ports: number;
}

export const ROWS: readonly RowSpec[] = (['unicast', 'broadcast'] as const).flatMap((traffic) =>
  [64, 1500].flatMap((bytes) =>
    [2, 8].map((ports) => ({ name: `${traffic}/${bytes}/${ports}`, traffic, bytes, ports })),
  ),
);

export interface Setup {
  /** One socket per port. */
  readonly sockets: readonly string[];
  readonly spec: RowSpec;
  readonly cpu: number;
  readonly hugepages: boolean;
}

export interface Run {
  /** Frames that arrived at ports. Broadcasts count at every port except the sender's. */
  readonly frames: number;
  readonly seconds: number;
}

export const BROADCAST = 'ff:ff:ff:ff:ff:ff';
