/** The windows of a benchmark report, and the check of the benchmarks' command line. */
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plotsOf } from '../../../../bench/report/plots.js';
import { COST_BY_CORES, figure, row } from '../../../../bench/report/report.js';
import { render } from '../../../../bench/report/table.js';
import { parse } from '../../../../bench/rings/rte-ring.js';
import { Child } from '../../../../scripts/child.js';

const BENCH = fileURLToPath(new URL('../../../../dist-bench/bench/main.js', import.meta.url));
const machine = {
  cpu: 'a cpu',
  cores: 2,
  load: 0.5,
  node: 'v20',
  kernel: '6',
  qemu: 'none',
  dpdk: '22.11',
  ovs: 'none',
  hugepages: false,
};

describe('figure', () => {
  it('is the middle window, or the mean of the two in the middle', () => {
    expect(figure([3, 1, 2], 'x')).toEqual({ median: 2, min: 1, max: 3, unit: 'x' });
    expect(figure([10, 1, 2, 3], 'x')).toEqual({ median: 2.5, min: 1, max: 10, unit: 'x' });
  });

  it('does not depend on the order of the windows, and does not change it', () => {
    const windows = fc.array(fc.integer({ min: 0, max: 1e9 }), { minLength: 1 });
    fc.assert(
      fc.property(windows, (values) => {
        const given = [...values];
        const { median, min, max } = figure(values, 'x');
        expect(values).toEqual(given);
        expect(figure(given.reverse(), 'x')).toEqual({ median, min, max, unit: 'x' });
        expect(values.filter((value) => value <= median).length * 2).toBeGreaterThanOrEqual(values.length);
        expect(values.filter((value) => value >= median).length * 2).toBeGreaterThanOrEqual(values.length);
      }),
    );
  });
});

describe('the report', () => {
  it('divides our figure by theirs', () => {
    const { ratio } = row('r', figure([50], 'x'), { a: figure([100], 'x'), b: figure([40], 'x') });
    expect(ratio).toEqual({ a: 0.5, b: 1.25 });
  });

  it('shows one line per peer, and the machine', () => {
    const rows = [row('tx/64', figure([1_500_000], 'frames/s'), { dpdk: figure([750_000], 'frames/s') })];
    const text = render({ benchmark: 'vm', machine, rows });
    expect(text).toMatch(/tx\/64.*1\.50 Mframes\/s.*dpdk.*750\.00 kframes\/s.*2\.00/);
    expect(text).toContain('cpu a cpu, cores 2');
    expect(text).not.toContain('*');
  });

  it('inverts the ratio where less is better', () => {
    const { ratio } = row('r', figure([50], 'us'), { a: figure([100], 'us') }, { better: 'less' });
    expect(ratio).toEqual({ a: 2 });
  });

  it('says why a row is in doubt', () => {
    const noise = { conclusive: false, reasons: ['the CPUs moved'] };
    const rows = [row('tx/64', figure([1], 'x'), { dpdk: figure([1], 'x') }, { noise })];
    const text = render({ benchmark: 'vm', machine, rows });
    expect(text).toContain('1.00 *');
    expect(text).toContain('* tx/64: not conclusive: the CPUs moved');
  });

  it('says when the windows differ too much', () => {
    const rows = [row('tx/64', figure([100, 210, 50], 'frames/s'), { dpdk: figure([100], 'frames/s') })];
    expect(render({ benchmark: 'vm', machine, rows })).toContain('1.00 *');
  });
});

describe('npm run bench', () => {
  it.each([
    [
      ['nope'],
      "no benchmark 'nope'; there are: lines, rings, rss, driver, pipeline, switch, latency, kernel, tcp, http, offload, observe, gc, vm, tcp-vm, all",
    ],
    [['soak'], "the benchmark 'soak' is called 'gc' now"],
    [[], "missing required argument 'name'"],
    [['vm', '--rows', '('], 'Invalid regular expression'],
    [['vm', '--rows', 'nope'], 'selects none of: tx/64/iommu/tap, '],
  ])('refuses %j', async (args, message) => {
    const bench = Child.spawn(process.execPath, [BENCH, ...args]);
    expect((await bench.exited).code).toBe(2);
    expect(bench.output).toContain(message);
    expect(bench.stdout).toBe('');
  });
});

describe('the plots', () => {
  it('are lines against the burst, a distribution, or bars', () => {
    const one = figure([2e6], 'packets/s');
    const curve = [
      [50, 10],
      [99, 20],
      [100, 30],
    ];
    const rows = [
      row('tx/64/1/split', one, { dpdk: one }),
      row('tx/64/32/split', one, { dpdk: one }),
      row('rtt/50', figure([1], 'us'), { dpdk: figure([1], 'us') }, { more: { tspmd: { curve }, dpdk: { curve } } }),
      row('udp-echo/64', figure([1], 'requests/s'), { 'node-dgram': figure([1], 'requests/s') }),
    ];
    const cost = figure([1], 'ns/request');
    rows.push(row('scale/1kb', cost, { 'one core': cost }, { more: { [COST_BY_CORES]: { 1: 10, 64: 11 } } }));
    const plots = plotsOf({ benchmark: 'b', machine, rows });
    expect(plots.map(({ name }) => name)).toEqual(['b-tx-split', 'b-distribution', 'b-by-cores', 'b']);
    for (const { svg } of plots) expect(svg).toMatch(/^<svg [\s\S]*<\/svg>$/);
    expect(plots[0]?.svg).toContain('tspmd 64 B');
    expect(plots[2]?.svg).toContain('scale/1kb');
    expect(plots[3]?.svg).not.toContain('scale/1kb');
  });
});

describe('the figures of rte_ring', () => {
  it('are elements per second, from cycles per burst in one thread or per element', () => {
    const output = [
      'EAL: TSC frequency is ~2000000 KHz',
      'legacy APIs: SP/SC: single: 20.00',
      'legacy APIs: SP/SC: bulk (size: 8): 32.00',
      'legacy APIs: SP/SC: bulk (size: 32): 64.00',
      '### Testing using two physical cores ###',
      'legacy APIs: SP/SC: bulk (size: 8): 10.00',
      'legacy APIs: SP/SC: bulk (size: 32): 4.00',
    ].join('\n');
    expect(Object.fromEntries(parse(output))).toEqual({
      ...{ 'spsc-1thread/1': 1e8, 'spsc-1thread/8': 5e8, 'spsc-1thread/32': 1e9 },
      ...{ 'spsc-2threads/8': 4e8, 'spsc-2threads/32': 1e9 },
    });
  });

  it('must be there', () => {
    expect(() => parse('Test Failed')).toThrow('dpdk-test printed no figures');
  });
});
