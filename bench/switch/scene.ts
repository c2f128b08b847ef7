/** The rows of `bench -- switch`, and what its load is told. */

export interface Scene {
  readonly name: string;
  readonly traffic: 'unicast' | 'broadcast';
  /** Of a frame, without FCS. */
  readonly bytes: number;
  readonly ports: number;
}

export const SCENES: readonly Scene[] = (['unicast', 'broadcast'] as const).flatMap((traffic) =>
  [64, 1500].flatMap((bytes) =>
    [2, 8].map((ports) => ({ name: `${traffic}/${bytes}/${ports}`, traffic, bytes, ports })),
  ),
);

export interface Setup {
  /** One a port. */
  readonly sockets: readonly string[];
  readonly scene: Scene;
  readonly cpu: number;
  readonly hugepages: boolean;
}

export interface Run {
  /** That arrived at ports, those of a broadcast at each but the sender's. */
  readonly frames: number;
  readonly seconds: number;
}

export const BROADCAST = 'ff:ff:ff:ff:ff:ff';

/** The address of a port's VM, counted from 0: those of bess/forward_n.bess. */
export const macOf = (port: number): string => `52:54:00:00:00:${(port + 1).toString(16).padStart(2, '0')}`;
