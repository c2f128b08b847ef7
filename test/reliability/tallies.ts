/** What the cores of an endpoint count. */

export const TALLIES = {
  sent: 'requests sent',
  answered: 'requests answered, the late ones too',
  missing: 'requests given up and not answered since',
  late: 'answers that came after they were given up',
  stale: 'packets of an earlier life of an endpoint, or answers to what is long forgotten',
  served: 'requests of others that were answered',
  ring_full: 'requests of others that found no room in the ring for the answer',
  other: 'packets of somebody else',
  duplicate: 'packets that came twice',
  disorder: 'packets that came after a later one of their flow',
  corrupt: 'packets that are not as they were sent',
  misplaced: 'packets for another endpoint or core',
} as const;

export type Tally = keyof typeof TALLIES;
export type Tallies = Record<Tally, number>;

/** Tallies that must be 0 in every run, whatever was killed. */
export const FAULTS = ['duplicate', 'disorder', 'corrupt', 'misplaced', 'other'] as const satisfies readonly Tally[];

export function noTallies(): Tallies {
  const none = Object.keys(TALLIES).map((name) => [name, 0]);
  return Object.fromEntries(none) as Tallies;
}

/** Tallies with one other endpoint. */
export interface PeerTallies {
  sent: number;
  answered: number;
  missing: number;
  /** Requests that wait for their answer now. */
  waiting: number;
}

/** A core's answer when it is asked for its tallies. */
export interface CoreReport {
  readonly tallies: Tallies;
  readonly peers: Readonly<Record<number, PeerTallies>>;
  /** Bytes of the core's heap in use after a full collection; 0 unless asked for. */
  readonly heap: number;
}

/** Adds up the cores of an endpoint. */
export function sumOf(reports: readonly CoreReport[]): CoreReport {
  const tallies = noTallies();
  const peers: Record<number, PeerTallies> = {};
  let heap = 0;
  for (const report of reports) {
    for (const name of Object.keys(tallies) as Tally[]) tallies[name] += report.tallies[name];
    for (const [peer, more] of Object.entries(report.peers)) {
      peers[Number(peer)] ??= { sent: 0, answered: 0, missing: 0, waiting: 0 };
      const sum = peers[Number(peer)]!;
      for (const name of ['sent', 'answered', 'missing', 'waiting'] as const) sum[name] += more[name];
    }
    heap += report.heap;
  }
  return { tallies, peers, heap };
}
