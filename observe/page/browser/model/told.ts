/** What the server tells every second: as it comes, so every part may be missing. */

export interface About {
  readonly pid: number;
  readonly kind: 'run' | 'exec' | 'switch';
  readonly name: string;
  readonly state: 'starting' | 'ready';
  readonly devices: readonly string[];
  readonly address: string | null;
  readonly mode: string | null;
  readonly version: string;
  /** In seconds. */
  readonly uptime: number;
  /** In seconds. */
  readonly loopDelay?: number;
}

export type Counters = Readonly<Record<string, number>>;

export interface Ring {
  readonly count: number;
  readonly capacity: number;
}

export interface Thread {
  readonly title: string;
  readonly isAlive: boolean;
  readonly isAsleep: boolean;
  readonly counters: Counters;
}

export interface PortTold {
  readonly device: string;
  readonly counters: Counters;
  readonly cores: readonly (Thread & { readonly rings: Readonly<Record<string, Ring>> | null })[];
  readonly workers: readonly (Thread & { readonly role: 'Rx' | 'Tx' | 'RxTx' })[];
  readonly totals: readonly (Counters | null)[];
}

export interface Way {
  readonly packets: number;
  readonly bytes: number;
  readonly dropped: number;
}

export interface SwitchTold {
  readonly worker: { readonly busy: number; readonly idle: number; readonly asleep: boolean };
  readonly summary: {
    readonly received: number;
    readonly generated: number;
    readonly forwarded: number;
    readonly dropped: Counters;
  };
  readonly ports: Readonly<
    Record<
      string,
      {
        readonly description: string;
        readonly up: boolean;
        readonly problem: string | null;
        readonly inc: Way;
        readonly out: Way;
        readonly device: Counters;
      }
    >
  >;
  readonly modules: readonly {
    readonly name: string;
    readonly class: string;
    readonly desc: string;
    readonly gates: readonly {
      readonly gate: number;
      readonly to: string;
      readonly packets: number;
      readonly bytes: number;
    }[];
    readonly deadends: number;
    readonly counters: Counters;
  }[];
}

export interface Stats {
  readonly process: About;
  readonly port?: PortTold;
  readonly switch?: SwitchTold;
}

export interface Flow {
  readonly interface: string;
  readonly direction: string;
  readonly protocol: string;
  readonly source: string;
  readonly destination: string;
  readonly packetsPerSecond: number;
  readonly bytesPerSecond: number;
}

export interface Flows {
  readonly sampled: boolean;
  readonly flows: readonly Flow[];
}

/** Times in ms, sizes in bytes. */
export interface Connection {
  readonly core: number;
  readonly local: string;
  readonly remote: string;
  readonly state: string;
  readonly rtt: number;
  readonly congestionWindow: number;
  readonly sendWindow: number;
  readonly inFlight: number;
  readonly unsent: number;
  readonly retransmitted: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface Connections {
  readonly total: number;
  readonly connections: readonly Connection[];
}

/** An answer, or one line that says why there is none. */
export type Told<T> = { readonly result: T } | { readonly problem: string };

export interface News {
  readonly process: About;
  readonly stats: Told<Stats>;
  readonly flows: Told<Flows>;
  readonly connections: Told<Connections>;
  readonly viewers: { readonly watching: number; readonly refused: number; readonly dropped: number };
}

/** Returns the news in a text; null if it holds none. */
export function parseNews(text: string): News | null {
  try {
    const value = JSON.parse(text) as Partial<News> | null;
    const isNews = typeof value?.process?.name === 'string' && value.stats !== undefined && value.viewers !== undefined;
    return isNews ? (value as News) : null;
  } catch {
    return null;
  }
}
