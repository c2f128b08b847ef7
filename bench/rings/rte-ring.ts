/**
 * DPDK's rte_ring by its own test: `dpdk-test`, ring_perf_autotest. It prints cycles, of which this makes elements (pointers,
 * eight bytes) a second:
 * - one thread: cycles of an enqueue and a dequeue of a burst, together;
 * - two threads: cycles an element of the one thread plus those of the other. Both take equally long, as one waits for the
 *   other, so half of the sum is what an element takes.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from '../../scripts/child.js';
import { benchCpus } from '../common/cpus.js';

/** Row -> elements a second. The test has bursts of 1 (one thread only), 8 and 32. */
export type RteRing = ReadonlyMap<string, number>;

const TIMEOUT_MS = 60_000;
/** What follows the part that is of use: rings with larger elements. */
const ENOUGH = /two physical cores[\s\S]*?MP\/MC: bulk \(size: 32\): [\d.]+|Test (?:OK|Failed)/;

export async function measureRteRing(): Promise<RteRing> {
  const runtime = mkdtempSync(join(tmpdir(), 'tspmd-dpdk-'));
  const { common, contestant } = benchCpus();
  const memory = ['--no-pci', '--no-telemetry', '--no-huge', '-m', '64'];
  const args = ['--lcores', `0@${common},1@${contestant}`, ...memory, '--log-level=lib.eal:debug'];
  const env = { ...process.env, DPDK_TEST: 'ring_perf_autotest', RUNTIME_DIRECTORY: runtime };
  const test = Child.spawn('stdbuf', ['-oL', 'dpdk-test', ...args], env);
  try {
    await test.waitFor(ENOUGH, TIMEOUT_MS);
    return parse(test.output);
  } finally {
    await test.stop('SIGKILL');
    rmSync(runtime, { recursive: true, force: true });
  }
}

/** @param output of the test */
export function parse(output: string): RteRing {
  const hertz = 1000 * Number(output.match(/TSC frequency is ~(\d+) KHz/)?.[1]);
  const rates = new Map<string, number>();
  const [alone = '', together = ''] = output.split('two physical cores');
  const find = (text: string, what: string): number => Number(text.match(new RegExp(`SP/SC: ${what}: ([\\d.]+)`))?.[1]);
  const add = (name: string, cycles: number): void => {
    if (Number.isFinite(hertz / cycles)) rates.set(name, hertz / cycles);
  };
  add('spsc-1thread/1', find(alone, 'single'));
  for (const size of [8, 32]) {
    add(`spsc-1thread/${size}`, find(alone, `bulk \\(size: ${size}\\)`) / size);
    add(`spsc-2threads/${size}`, find(together, `bulk \\(size: ${size}\\)`) / 2);
  }
  if (rates.size === 0) throw new Error(`dpdk-test printed no figures of its rings:\n${output}`);
  return rates;
}
