/** The TCP of a core as text and as metrics. */
import { describe, expect, it } from 'vitest';
import { type Distribution, Families } from '../../../../../observe/metrics/family.js';
import { addTcpFigures, rttQuantile, tcpText } from '../../../../../src/cli/observe/tcp-figures.js';
import type { RttHistogram } from '../../../../../src/index.js';

/** A histogram of these samples, in µs. */
function histogramOf(...samples: number[]): RttHistogram {
  const counts = new Array<number>(32).fill(0);
  for (const sample of samples) counts[Math.max(0, Math.ceil(Math.log2(sample)))]!++;
  return { counts, sum: samples.reduce((sum, sample) => sum + sample, 0) / 1e6, count: samples.length };
}

describe('quantiles of round trip times', () => {
  it('are in the right bucket, which is at most a factor of two wide', () => {
    const samples = Array.from({ length: 1000 }, (_, i) => 1 + i * i);
    const histogram = histogramOf(...samples);
    for (const share of [0.01, 0.1, 0.5, 0.9, 0.99, 1]) {
      const exact = samples[Math.ceil(share * samples.length) - 1]! / 1e6;
      const found = rttQuantile(histogram, share)!;
      expect(found).toBeGreaterThan(exact / 2);
      expect(found).toBeLessThan(exact * 2);
    }
  });

  it('are those of one sample, or unknown without any', () => {
    expect(rttQuantile(histogramOf(1), 0.5)).toBe(0.5e-6);
    expect(rttQuantile(histogramOf(1024), 1)).toBe(1024e-6);
    expect(rttQuantile(histogramOf(), 0.5)).toBeNull();
  });
});

describe('the text of the TCP of a core', () => {
  it('has states with connections, median and 99 % of the round trip times', () => {
    const states = { ESTABLISHED: 3, CLOSING: 0, 'TIME-WAIT': 1 };
    const rtt = histogramOf(...new Array<number>(98).fill(100), 9000, 9000);
    expect(tcpText({ states, rtt })).toBe('3 ESTABLISHED, 1 TIME-WAIT; RTT median 0.097 ms, p99 12 ms (100 samples)');
    expect(tcpText({ states: { CLOSING: 0 }, rtt: histogramOf() })).toBe('none');
    expect(tcpText({ states, rtt: histogramOf(100) })).toContain('(1 sample)');
  });
});

describe('the metrics of the TCP of a core', () => {
  it('are a gauge for each state, and a cumulative histogram in seconds', () => {
    const families = new Families();
    const rtt = histogramOf(1, 100, 100, 1e9);
    addTcpFigures(families, { states: { ESTABLISHED: 3, CLOSING: 0 }, rtt }, { core: 0 });
    addTcpFigures(families, { states: { ESTABLISHED: 4, CLOSING: 1 }, rtt }, { core: 1 });
    const [connections, times] = families.all;
    expect(connections).toMatchObject({
      name: 'tspmd_tcp_connections',
      type: 'gauge',
      samples: [
        { labels: { core: 0, state: 'ESTABLISHED' }, value: 3 },
        { labels: { core: 0, state: 'CLOSING' }, value: 0 },
        { labels: { core: 1, state: 'ESTABLISHED' }, value: 4 },
        { labels: { core: 1, state: 'CLOSING' }, value: 1 },
      ],
    });
    expect(times).toMatchObject({ name: 'tspmd_tcp_rtt_seconds', type: 'histogram' });
    const { buckets, sum } = (times!.samples as readonly Distribution[])[0]!;
    expect(sum).toBe(rtt.sum);
    expect(buckets.at(0)).toEqual({ upTo: 16e-6, count: 1 });
    expect(buckets.find(({ upTo }) => upTo === 64e-6)!.count).toBe(1);
    expect(buckets.find(({ upTo }) => upTo === 128e-6)!.count).toBe(3);
    expect(buckets.slice(-2)).toEqual([
      { upTo: 2 ** 26 / 1e6, count: 3 },
      { upTo: Number.POSITIVE_INFINITY, count: 4 },
    ]);
    expect(times!.samples).toHaveLength(2);
  });
});
