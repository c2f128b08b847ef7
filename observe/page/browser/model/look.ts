/** One look at a process: what the page shows of it, whether it drives a port or is a switch. All counts are since the start. */

/** Packets and bytes. */
export interface Traffic {
  readonly packets: number;
  readonly bytes: number;
}

export interface PortLook {
  readonly name: string;
  readonly detail: string;
  readonly isUp: boolean;
  /** Why it does not work; null if it does. */
  readonly problem: string | null;
  readonly in: Traffic & { readonly dropped: number };
  readonly out: Traffic & { readonly dropped: number };
}

export interface RingLook {
  readonly name: string;
  readonly count: number;
  readonly capacity: number;
}

export interface ThreadLook {
  readonly title: string;
  readonly state: 'awake' | 'asleep' | 'ended';
  /** Time in which it found something to do, and all the other time that was measured, in seconds. */
  readonly busy: number;
  readonly idle: number;
  /** Packets that it has taken and given; null: it does not do that. */
  readonly in: number | null;
  readonly out: number | null;
  readonly dropped: number;
  /** Buffers that its stack has now; null: it has no stack. */
  readonly held: number | null;
  readonly rings: readonly RingLook[];
}

/** Where the advice about a drop is found (docs/observe.md, "Why packets are dropped"). */
export type DropScope = 'received' | 'to send' | 'lost' | 'driver' | 'switch' | 'tunnel' | 'port';

export interface DropLook {
  readonly key: string;
  /** What dropped: a layer, the driver, the switch, a port. */
  readonly where: string;
  readonly scope: DropScope;
  readonly reason: string;
  readonly count: number;
}

export interface NodeLook {
  readonly id: string;
  readonly title: string;
  readonly detail: string;
  /** More of it, for those who point at it. */
  readonly about: string;
  /** `in` and `out` are where packets come from and go to. */
  readonly kind: 'in' | 'out' | 'thread' | 'module';
  readonly state: 'up' | 'down' | 'asleep';
  /** The thread whose load it shows; null: none. */
  readonly thread: string | null;
  /** Packets that were dropped here. */
  readonly dropped: number;
}

export interface EdgeLook extends Traffic {
  readonly from: string;
  readonly to: string;
  /** What it is called at its source: a gate, or nothing. */
  readonly gate: string;
  /** Whether bytes are counted here. */
  readonly hasBytes: boolean;
}

export interface Graph {
  readonly nodes: readonly NodeLook[];
  readonly edges: readonly EdgeLook[];
}

export interface Look {
  /** Time since the start of the process, in seconds. */
  readonly at: number;
  readonly in: Traffic;
  readonly out: Traffic;
  readonly dropped: number;
  readonly ports: readonly PortLook[];
  readonly threads: readonly ThreadLook[];
  readonly drops: readonly DropLook[];
  readonly graph: Graph;
  /** Why there are no rings; null when there are. */
  readonly noRings: string | null;
}
