/** The TCP of one core for people and for Prometheus: connections by state, and round trip times. */
import type { Families, Labels } from '../../../observe/metrics/family.js';
import type { RttHistogram, TcpFigures } from '../../index.js';

const US_PER_SECOND = 1e6;
/** Of the 32 buckets, Prometheus gets those from 16 µs to 67 s; shorter and longer samples are in the first and the last one. */
const FIRST_BUCKET = 4;
const LAST_BUCKET = 26;

/** The totals of a stack that {@link addTcpFigures} has by state. */
export const TOTALS_BY_STATE: readonly string[] = ['tcp_connections', 'tcp_time_wait'];

export function addTcpFigures(families: Families, { states, rtt }: TcpFigures, labels: Labels): void {
  for (const [state, count] of Object.entries(states))
    families.gauge('tspmd_tcp_connections', 'TCP connections by state', count, { ...labels, state });
  let count = 0;
  const buckets: { upTo: number; count: number }[] = [];
  for (const [i, some] of rtt.counts.entries()) {
    count += some;
    if (i >= FIRST_BUCKET && i <= LAST_BUCKET) buckets.push({ upTo: 2 ** i / US_PER_SECOND, count });
  }
  buckets.push({ upTo: Number.POSITIVE_INFINITY, count });
  const help = 'round trip times that TCP has measured, one per ACK of new data';
  families.histogram('tspmd_tcp_rtt_seconds', help, { labels, buckets, sum: rtt.sum });
}

/**
 * Estimates the time that the part `share` of all samples does not exceed, in seconds: within its bucket, samples are taken
 * to be spread evenly. At most a factor of two wrong. Returns null without samples.
 */
export function rttQuantile({ counts, count }: RttHistogram, share: number): number | null {
  let left = share * count;
  for (const [i, some] of counts.entries()) {
    if (some > 0 && left <= some) return bucketValue(i, left / some);
    left -= some;
  }
  return null;
}

/** @param part how far from the beginning of the bucket, from 0 to 1 */
function bucketValue(bucket: number, part: number): number {
  const from = bucket === 0 ? 0 : 2 ** (bucket - 1);
  return (from + part * (2 ** bucket - from)) / US_PER_SECOND;
}

/** Returns `3 ESTABLISHED, 1 TIME-WAIT; RTT median 0.12 ms, p99 1.5 ms (4711 samples)`. */
export function tcpText({ states, rtt }: TcpFigures): string {
  const some = Object.entries(states).filter(([, count]) => count > 0);
  const text = some.length === 0 ? 'none' : some.map(([state, count]) => `${count} ${state}`).join(', ');
  const [median, most] = [0.5, 0.99].map((share) => rttQuantile(rtt, share));
  if (median === null || most === null) return text;
  const samples = `${rtt.count} ${rtt.count === 1 ? 'sample' : 'samples'}`;
  return `${text}; RTT median ${milliseconds(median)}, p99 ${milliseconds(most)} (${samples})`;
}

/** A time with two significant digits. */
const milliseconds = (seconds: number): string => `${Number((1000 * seconds).toPrecision(2))} ms`;
