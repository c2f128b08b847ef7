/** What a report says of its windows, and how the command line of the benchmarks is checked. */
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { figure, row } from '../../bench/report.js';
import { render } from '../../bench/table.js';
import { Child } from '../../scripts/child.js';

const BENCH = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));
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
  it('has the middle window, or the mean of the two in the middle', () => {
    expect(figure([3, 1, 2], 'x')).toEqual({ median: 2, min: 1, max: 3, unit: 'x' });
    expect(figure([10, 1, 2, 3], 'x')).toEqual({ median: 2.5, min: 1, max: 10, unit: 'x' });
  });

  it('does not depend on the order of the windows, and leaves them alone', () => {
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
  it('gives ours by theirs', () => {
    const { ratio } = row('r', figure([50], 'x'), { a: figure([100], 'x'), b: figure([40], 'x') });
    expect(ratio).toEqual({ a: 0.5, b: 1.25 });
  });

  it('shows a line a peer, and the machine', () => {
    const rows = [row('tx/64', figure([1_500_000], 'frames/s'), { dpdk: figure([750_000], 'frames/s') })];
    const text = render({ benchmark: 'vm', machine, rows });
    expect(text).toMatch(/tx\/64.*1\.50 Mframes\/s.*dpdk.*750\.00 kframes\/s.*2\.00/);
    expect(text).toContain('cpu a cpu, cores 2');
    expect(text).not.toContain('*');
  });

  it('says when the windows lie too far apart', () => {
    const rows = [row('tx/64', figure([100, 210, 50], 'frames/s'), { dpdk: figure([100], 'frames/s') })];
    expect(render({ benchmark: 'vm', machine, rows })).toContain('1.00 *');
  });
});

describe('npm run bench', () => {
  it.each([
    [['nope'], "no benchmark 'nope'; there are: "],
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
