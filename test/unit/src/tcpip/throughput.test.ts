/**
 * Throughput of TCP over simulated paths. Time is virtual, so the figures are those of the algorithms, and the same on
 * each machine. `TSPMD_LONG=1` adds the paths that take minutes to simulate.
 *
 * The table of paths of 10 Mb/s is compared with the one in `support/tcpip/schedule/throughput.json`. After a change
 * that is meant to change it, `TSPMD_RENEW=1 npx vitest run --project unit throughput` writes it anew: look at the
 * difference before you commit it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Measurement, measure } from '../../../support/tcpip/schedule/throughput.js';

const LONG = process.env.TSPMD_LONG === '1';
const MIB = 2 ** 20;
/** Mb/s by path, as measured when it was last renewed. */
const STORED = new URL('../../../support/tcpip/schedule/throughput.json', import.meta.url);
/** How far a rate may be from the stored one: a part of it. */
const NEAR = 0.05;
const TIMEOUT = { timeout: LONG ? 1_200_000 : 120_000 };
/** Virtual time of a cell of the table. */
const SECONDS = LONG ? 60 : 5;
/** Bytes of data in a frame of 1514 bytes, with timestamps. */
const MSS = 1448;
const GOODPUT = MSS / 1514;

const megabits = (rate: number): string => (rate / 1e6).toFixed(2);

/**
 * What CUBIC and Reno reach at a loss rate, whichever is more: RFC 9438, 5.1, with C 0.4 and beta 0.7, and Mathis. In bits
 * per second.
 */
function expectedRate(loss: number, rtt: number): number {
  if (loss === 0) return Number.POSITIVE_INFINITY;
  const cubic = 1.054 * (rtt / loss) ** 0.75;
  const reno = 1.22 / Math.sqrt(loss);
  return (Math.max(cubic, reno) * MSS * 8) / rtt;
}

describe('one flow over 10 Mb/s', () => {
  it('reaches what its congestion control allows, for each loss, delay and queue', TIMEOUT, async () => {
    const rows: Record<string, string | number>[] = [];
    const slow: string[] = [];
    const found: Record<string, number> = {};
    for (const loss of [0, 0.001, 0.01, 0.05]) {
      for (const delayMs of [1, 10, 50]) {
        for (const queue of [0.2, 1]) {
          const bitsPerSecond = 10e6;
          const queueBytes = Math.max(5 * 1514, (queue * bitsPerSecond * 2 * delayMs) / 8000);
          const path = { bitsPerSecond, delayMs, queueBytes, loss };
          const { rates, infos, overflowed } = await measure({ path, fromMs: 2000, toMs: 2000 + 1000 * SECONDS });
          const rate = rates[0]!;
          const most = Math.min(bitsPerSecond * GOODPUT, expectedRate(loss, (2 * delayMs) / 1000));
          rows.push({
            ...{ loss, 'delay ms': delayMs, 'queue BDP': queue, 'Mb/s': megabits(rate), 'model Mb/s': megabits(most) },
            ...{ retransmitted: infos[0]!.retransmitted, overflowed },
          });
          found[`loss ${loss}, ${delayMs} ms, queue ${queue}`] = Number(megabits(rate));
          if (rate < most * (loss === 0.05 ? 0.4 : 0.6)) slow.push(JSON.stringify(rows.at(-1)));
        }
      }
    }
    console.table(rows);
    expect(slow).toEqual([]);
    // With TSPMD_LONG more time is measured, which gives other rates.
    if (LONG) return;
    if (process.env.TSPMD_RENEW === '1') writeFileSync(STORED, `${JSON.stringify(found, null, 2)}\n`);
    const stored = JSON.parse(readFileSync(STORED, 'utf8')) as Record<string, number>;
    expect(Object.keys(found)).toEqual(Object.keys(stored));
    const others = Object.entries(found).filter(([path, rate]) => Math.abs(rate / stored[path]! - 1) > NEAR);
    expect(
      others.map(([path, rate]) => `${path}: ${rate} Mb/s instead of ${stored[path]}`),
      'meant? TSPMD_RENEW=1',
    ).toEqual([]);
  });
});

describe('one flow over a path that loses 1 % of the data', () => {
  /** What Linux 6.1 reached in `scripts/vm/loss-rate.sh DELAY 1 600`, in bits per second; see docs/tcp.md. */
  const LINUX = [
    { delayMs: 25, linux: 2.62e6 },
    { delayMs: 10, linux: 6.39e6 },
  ];
  const SEEDS = [1, 2, 3];

  it.each(LINUX)('reaches what Linux does, with $delayMs ms each way', TIMEOUT, async ({ delayMs, linux }) => {
    const rates: number[] = [];
    for (const seed of SEEDS) {
      const path = { delayMs, loss: 0.01 };
      rates.push((await measure({ seed, path, fromMs: 10_000, toMs: 10_000 + 20_000 * SECONDS })).rates[0]!);
    }
    const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
    console.log(`${delayMs} ms each way: ${rates.map(megabits).join(', ')}; mean ${megabits(mean)} Mb/s`);
    expect(mean / linux).toBeGreaterThan(0.8);
  });
});

describe('one flow over a long, fast path', () => {
  const fills = async (name: string, measurement: Omit<Measurement, 'fromMs' | 'toMs'>, share: number, toMs = 5000) => {
    const { rates, infos } = await measure({ ...measurement, fromMs: toMs - toMs / 4, toMs });
    const link = measurement.path.bitsPerSecond!;
    console.log(`${name}: ${megabits(rates[0]!)} of ${megabits(link)} Mb/s, ${infos[0]!.retransmitted} retransmitted`);
    expect(rates[0]! / link).toBeGreaterThan(share);
  };
  const tuned = { maxSendBuffer: 256 * MIB, maxReceiveBuffer: 256 * MIB, memory: 1024 * MIB };

  it('fills 1 Gb/s with a round trip of 50 ms, by auto-tuning', TIMEOUT, async () => {
    const path = { bitsPerSecond: 1e9, delayMs: 25, queueBytes: 6_250_000 };
    await fills('1 Gb/s, 50 ms', { path, stack: tuned }, 0.9, 2000);
  });

  it('keeps 90 % of 100 Mb/s with one loss in 10^5', TIMEOUT, async () => {
    const path = { bitsPerSecond: 1e8, delayMs: 10, queueBytes: 250_000, loss: 1e-5 };
    await fills('100 Mb/s, 20 ms, loss 10^-5', { path }, 0.9, 8000);
  });

  it.runIf(LONG)('fills 10 Gb/s with a round trip of 50 ms, with frames of 9,000 bytes', TIMEOUT, async () => {
    const path = { bitsPerSecond: 1e10, delayMs: 25, queueBytes: 62_500_000 };
    await fills('10 Gb/s, 50 ms, MTU 9000', { path, mtu: 9000, stack: tuned }, 0.9, 6000);
  });

  it.runIf(LONG)('fills 10 Gb/s with a round trip of 50 ms', TIMEOUT, async () => {
    const path = { bitsPerSecond: 1e10, delayMs: 25, queueBytes: 62_500_000 };
    await fills('10 Gb/s, 50 ms', { path, stack: tuned, buffers: 65_536 }, 0.9, 6000);
  });

  // 90 % of the link would need fewer than one loss in 2 * 10^7.
  it.runIf(LONG)('reaches what CUBIC can with one loss in 10^5 of 10 Gb/s with 50 ms', TIMEOUT, async () => {
    const path = { bitsPerSecond: 1e10, delayMs: 25, queueBytes: 62_500_000, loss: 1e-5 };
    const what = { path, stack: tuned, buffers: 65_536, fromMs: 60_000, toMs: 300_000 };
    const rate = (await measure(what)).rates[0]!;
    const model = expectedRate(path.loss, 0.05);
    console.log(`10 Gb/s, 50 ms, loss 10^-5: ${megabits(rate)} Mb/s; CUBIC's model: ${megabits(model)}`);
    expect(rate / model).toBeGreaterThan(0.8);
  });
});

describe('flows that share a link', () => {
  /** How far the rates are from even shares at most, as a part of a share. */
  const unevenness = (rates: readonly number[]): number => {
    const share = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
    return Math.max(...rates.map((rate) => Math.abs(rate / share - 1)));
  };

  it('get equal shares, two of CUBIC, the second one later', TIMEOUT, async () => {
    const path = { bitsPerSecond: 2e7, delayMs: 10, queueBytes: 50_000 };
    const { rates } = await measure({ path, flows: [{}, {}], startMs: [0, 2000], fromMs: 15_000, toMs: 75_000 });
    console.log(`two CUBIC flows: ${rates.map(megabits).join(' and ')} Mb/s`);
    expect(unevenness(rates)).toBeLessThan(0.2);
    expect((rates[0]! + rates[1]!) / path.bitsPerSecond).toBeGreaterThan(0.9);
  });

  it('get similar shares, one of CUBIC and one of Reno', TIMEOUT, async () => {
    const path = { bitsPerSecond: 1e7, delayMs: 10, queueBytes: 25_000 };
    const { rates } = await measure({ path, flows: [{}, { congestion: 'reno' }], fromMs: 10_000, toMs: 70_000 });
    console.log(`CUBIC and Reno: ${rates.map(megabits).join(' and ')} Mb/s`);
    expect(unevenness(rates)).toBeLessThan(0.3);
  });
});
