/**
 * Measures DPDK's rte_ring with its own test, ring_perf_autotest of `dpdk-test`. The test prints cycles, which are
 * converted to elements (pointers of eight bytes) per second:
 * - one thread: cycles of the enqueue and the dequeue of a burst together;
 * - two threads: cycles per element of both threads together. Both take equally long, because one waits for the other,
 *   so an element takes half of the sum.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from '../../scripts/child.js';
import { benchCpus } from '../common/cpus.js';

/** Elements per second by row. The test has bursts of 1 (one thread only), 8 and 32. */
export type RteRing = ReadonlyMap<string, number>;

const TIMEOUT_MS = 60_000;
/** The output up to here is enough. Rings with larger elements follow. */
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

/** Reads the output of the test. */
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
