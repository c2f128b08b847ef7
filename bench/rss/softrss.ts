/** The opponent: softrss.c, made with DPDK's headers, hashes the same tuples with the same key, in turns with us. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../../scripts/child.js';
import { isInstalled } from '../../scripts/programs.js';

const SOURCE = fileURLToPath(new URL('../../../bench/rss/softrss.c', import.meta.url));
const HEADERS = '/usr/include/dpdk';
const SETUP = "run 'npm run setup:peers' as root";
const COMPILE_TIMEOUT_MS = 60_000;
/** Above a window's own time, on a machine that is busy. */
const PATIENCE_MS = 30_000;

export const FUNCTIONS = ['rte_softrss', 'rte_softrss_be'] as const;
export type Function = (typeof FUNCTIONS)[number];

/** What the machine lacks for it. */
export function missingForSoftRss(): string[] {
  const missing = isInstalled('gcc') ? [] : [`gcc (${SETUP})`];
  if (!existsSync(join(HEADERS, 'rte_thash.h'))) missing.push(`DPDK's headers in ${HEADERS} (${SETUP})`);
  return missing;
}

export class SoftRss {
  private readonly folder = mkdtempSync(join(tmpdir(), 'tspmd-softrss-'));
  private readonly child: Child;
  private line = 0;

  /**
   * @param tuples packed, in network order
   * @throws Error when it does not compile
   */
  constructor(key: Uint8Array, tuples: Uint8Array, wordsPerTuple: number) {
    try {
      const program = join(this.folder, 'softrss');
      compile(program);
      const file = join(this.folder, 'tuples');
      writeFileSync(file, Buffer.concat([key, tuples]));
      this.child = Child.spawn(program, [file, `${wordsPerTuple}`]);
    } catch (error) {
      this.removeFolder();
      throw error;
    }
  }

  /** Lets it hash for `ms`. Returns nanoseconds a tuple, and the XOR of all its hashes, signed. */
  async measure(name: Function, ms: number): Promise<{ ns: number; all: number }> {
    this.line++;
    this.child.write(`${ms} ${FUNCTIONS.indexOf(name)}\n`);
    const result = new RegExp(`^${this.line}: (\\S+) (\\d+)$`, 'm');
    const [, ns, all] = await this.child.waitFor(result, ms + PATIENCE_MS);
    return { ns: Number(ns), all: Number(all) | 0 };
  }

  async close(): Promise<void> {
    await this.child.stop();
    this.removeFolder();
  }

  private removeFolder(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/**
 * As Debian compiles DPDK itself. For this very processor (-march=native) rte_softrss would be slower by half on some,
 * where gcc makes vectors of its short loops, and rte_softrss_be faster by a tenth.
 */
const FLAGS = ['-O3', ...(process.arch === 'x64' ? ['-march=corei7'] : [])];

function compile(program: string): void {
  const run = (...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync('gcc', args, { encoding: 'utf8', timeout: COMPILE_TIMEOUT_MS });
    if (status !== 0) throw new Error(`gcc could not compile ${SOURCE}: ${stderr.trim().split('\n')[0]}`);
    return stdout.trim();
  };
  const machine = `/usr/include/${run('-print-multiarch')}/dpdk`;
  run(...FLAGS, `-I${HEADERS}`, `-I${machine}`, '-o', program, SOURCE);
}
