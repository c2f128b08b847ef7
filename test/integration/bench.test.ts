/** Each benchmark runs and prints well-formed JSON. How fast anything is, is not tested. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { allowedCpus } from '../../bench/common/cpus.js';
import type { Report } from '../../bench/report/report.js';
import { runBenchmark } from '../support/bench/run-benchmark.js';
import { command, describeWith, ovs, type Requirement, root, testpmd, tun } from '../support/requirements.js';

const twoCpus: Requirement = {
  what: 'two CPUs',
  remedy: 'run on a machine that has them',
  isMet: () => allowedCpus().length >= 2,
};

const LIMIT = { timeout: 180_000 };

const figure = (unit: string) => ({
  ...{ median: expect.any(Number), min: expect.any(Number), max: expect.any(Number) },
  unit,
});

/** Runs rows of a benchmark; checks what all reports have in common, and returns the report. */
async function bench(name: string, rows: string, ...more: string[]): Promise<Report> {
  const report = await runBenchmark(name, '--rows', rows, ...more);
  expect(report.machine).toMatchObject({ cores: expect.any(Number), node: process.version });
  expect(report.rows.length).toBeGreaterThan(0);
  for (const { ours, peers, ratio, noise } of report.rows) {
    expect(Object.keys(ratio)).toEqual(Object.keys(peers));
    for (const { median, min, max } of [ours, ...Object.values(peers)]) {
      expect(median).toBeGreaterThanOrEqual(min);
      expect(max).toBeGreaterThanOrEqual(median);
    }
    // A row in doubt must have a reason, and no other row may have one.
    expect(noise?.reasons.length === 0).toBe(noise?.conclusive);
  }
  return report;
}

describeWith('npm run bench -- driver', [testpmd], () => {
  it.each(['tx/64/32/split', 'rx/64/32/packed', 'api-forward/64/32/split'])('measures %s', LIMIT, async (name) => {
    const { rows } = await bench('driver', `^${name}$`);
    expect(rows).toEqual([
      {
        ...{
          name,
          ours: figure('packets/s'),
          peers: { dpdk: figure('packets/s') },
          ratio: { dpdk: expect.any(Number) },
        },
        noise: expect.objectContaining({ coreToCoreNs: expect.anything() }),
        more: { 'counted by itself': { tspmd: expect.any(Number), dpdk: expect.any(Number) } },
      },
    ]);
  });
});

describeWith('npm run bench -- lines', [twoCpus], () => {
  it('measures lines of the other CPU and of the own cache', LIMIT, async () => {
    const { rows } = await bench('lines', '^(read|exchange)/64/(1|32)$');
    expect(rows.map(({ name }) => name)).toEqual(['read/64/1', 'read/64/32', 'exchange/64/1', 'exchange/64/32']);
    for (const { ours, peers } of rows) {
      expect([ours, peers['own-line']]).toEqual([figure('ns per line'), figure('ns per line')]);
    }
    const parallel = ['lines in the time of one'];
    expect(rows.map(({ more }) => Object.keys(more ?? {}))).toEqual([[], parallel, [], parallel]);
  });
});

describeWith('npm run bench -- rings', [command('dpdk-test')], () => {
  it('measures rings in one thread and between two', LIMIT, async () => {
    const { rows } = await bench('rings', '^spsc-1thread/(8|256)$|^spsc-2threads/8$');
    expect(rows.map(({ name, peers }) => [name, Object.keys(peers)])).toEqual([
      ['spsc-1thread/8', ['rte_ring', 'ringbuf.js']],
      ['spsc-1thread/256', ['ringbuf.js']],
      ['spsc-2threads/8', ['rte_ring', 'ringbuf.js']],
    ]);
  });
});

describeWith('npm run bench -- switch', [ovs], () => {
  it('measures both switches', LIMIT, async () => {
    const { rows } = await bench('switch', '^(unicast|broadcast)/64/2$');
    expect(rows.map(({ name }) => name)).toEqual(['unicast/64/2', 'broadcast/64/2']);
    for (const { peers } of rows) expect(peers).toEqual({ 'ovs-dpdk': figure('frames/s') });
  });

  // The benchmark itself checks that every byte is right, on both sides of the tunnel.
  it('measures VXLAN against the plain switch and OVS', LIMIT, async () => {
    const { rows } = await bench('switch', '^vxlan/1500$');
    expect(rows).toMatchObject([
      { name: 'vxlan/1500', peers: { plain: figure('frames/s'), 'ovs-dpdk': figure('frames/s') } },
    ]);
    for (const { ours, peers } of rows) {
      for (const { median } of [ours, ...Object.values(peers)]) expect(median).toBeGreaterThan(0);
    }
  });
});

describeWith('npm run bench -- latency', [testpmd], () => {
  it('has the percentiles of both echoes', LIMIT, async () => {
    const { rows } = await bench('latency', '^rtt/10$');
    const percentiles = { p50: expect.any(Number), 'p99.9': expect.any(Number), max: expect.any(Number) };
    expect(rows).toMatchObject([
      {
        ...{ name: 'rtt/10', peers: { dpdk: figure('us (p99.9)') } },
        more: { tspmd: percentiles, dpdk: percentiles },
      },
    ]);
  });
});

describeWith('npm run bench -- kernel', [command('ip'), root, tun], () => {
  it('measures both echoes', LIMIT, async () => {
    const { rows } = await bench('kernel', '');
    expect(rows).toMatchObject([
      { name: 'udp-echo/64', ours: figure('requests/s'), peers: { 'node-dgram': figure('requests/s') } },
    ]);
  });
});

describeWith('npm run bench -- offload', [ovs, testpmd], () => {
  // The benchmark itself checks that every byte is right, and that GSO packets cross the switches whole.
  it('measures both rows with all contestants', LIMIT, async () => {
    const { rows } = await bench('offload', '');
    expect(rows.map(({ name, ours, peers }) => [name, ours.unit, Object.keys(peers)])).toEqual([
      ['bulk/65536/csum+tso', 'bytes/s', ['bulk/1514/none', 'ovs-dpdk']],
      ['tcp-bulk/offload', 'bytes/s', ['tcp-bulk/none']],
    ]);
    for (const { ours, peers } of rows) {
      for (const { median } of [ours, ...Object.values(peers)]) expect(median).toBeGreaterThan(0);
    }
  });
});

describe('npm run bench -- observe', () => {
  it('measures a server with somebody who looks, and with nobody', LIMIT, async () => {
    const { rows } = await bench('observe', '^udp-echo/metrics$');
    expect(rows).toMatchObject([
      { name: 'udp-echo/metrics', ours: figure('requests/s'), peers: { unobserved: figure('requests/s') } },
    ]);
  });
});

describe('npm run bench -- gc', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tspmd-report-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('counts garbage collections, and writes its pages', LIMIT, async () => {
    const report = await bench('gc', '', '--report', folder);
    expect(report.rows.map(({ name }) => name)).toEqual(['gc/driver', 'gc/api']);
    expect(readdirSync(folder).sort()).toEqual(['README.md', 'gc.svg', 'report.json']);
    expect(JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8'))).toEqual(report);
    expect(readFileSync(join(folder, 'README.md'), 'utf8')).toContain('![gc](gc.svg)');
  });
});

describe('npm run bench -- all', () => {
  it('measures what can be measured here, one benchmark after the other', LIMIT, async () => {
    const report = await bench('all', '^gc/driver$');
    expect(report).toMatchObject({ reports: [{ benchmark: 'gc' }], notMeasured: {} });
    expect(report.rows.map(({ name }) => name)).toEqual(['gc/driver']);
  });
});
