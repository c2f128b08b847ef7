/** Pings that a kernel sends, each of which must be answered. */
import { expect } from 'vitest';
import type { NetworkNamespace } from '../../../scripts/netns.js';

export interface Pings {
  readonly count: number;
  /** Seconds from one to the next. */
  readonly interval: number;
  /** Bytes of data; default: ping(8)'s own, 56. */
  readonly size?: number;
}

/** Seconds until ping(8) gives up. */
const DEADLINE_S = 20;

/**
 * Pings `address` from a namespace's kernel and expects an answer to each, in order.
 *
 * With a deadline (-w) ping(8) goes on until so many answers have come, and sends more meanwhile. Without, it waits for the last
 * answer no longer than two round trips or an interval took, which on a busy machine may be too short for an emulated guest.
 * A packet that was lost is missing among the numbers nevertheless.
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
  // Of what came at once it may have counted more.
  expect(answered.slice(0, count), child.output).toEqual(Array.from({ length: count }, (_, i) => i + 1));
  expect(code, child.output).toBe(0);
}
