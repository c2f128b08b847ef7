/** Pings of a kernel, each of which must be answered. */
import { expect } from 'vitest';
import type { NetworkNamespace } from '../../../scripts/netns.js';

export interface Pings {
  readonly count: number;
  /** Seconds from one ping to the next. */
  readonly interval: number;
  /** Bytes of data; default: ping(8)'s own, 56. */
  readonly size?: number;
}

/** Seconds until ping(8) gives up. */
const DEADLINE_S = 20;

/**
 * Pings `address` from a namespace's kernel and expects an answer to each ping, in order.
 *
 * With a deadline (-w), ping(8) goes on until it has `count` answers, and sends more meanwhile. Without it, ping(8)
 * waits for the last answer no longer than two round trips or one interval, which on a busy machine may be too short
 * for an emulated guest. A lost packet is still missing among the numbers.
 */
export async function expectAnswers(
  namespace: NetworkNamespace,
  address: string,
  { count, interval, size = 56 }: Pings,
): Promise<void> {
  const options = ['-c', count, '-i', interval, '-w', DEADLINE_S, '-s', size].map(String);
  const child = namespace.spawn('ping', '-n', '-M', 'do', ...options, address);
  const { code } = await child.exited;
  const answered = [...child.output.matchAll(/icmp_seq=(\d+) ttl=/g)].map(([, sequence]) => Number(sequence));
  // It may have counted more answers that came at the same time.
  expect(answered.slice(0, count), child.output).toEqual(Array.from({ length: count }, (_, i) => i + 1));
  expect(code, child.output).toBe(0);
}
