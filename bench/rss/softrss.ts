/** The peer in `bench -- rss`: softrss.c, compiled with DPDK's headers. It hashes the same tuples with the same key. */
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
/** How much longer than its slice the peer may take on a busy machine, in ms. */
const PATIENCE_MS = 30_000;

export const FUNCTIONS = ['rte_softrss', 'rte_softrss_be'] as const;
export type Function = (typeof FUNCTIONS)[number];

/** Returns what the machine lacks for the peer. */
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
   * @param tuples packed tuples in network order
   * @throws Error when softrss.c does not compile
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

  /** Makes the peer hash for `ms`. Returns nanoseconds per tuple, and the XOR of all hashes as a signed number. */
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
 * Debian compiles DPDK with these flags. With -march=native, rte_softrss is slower by half on some processors, because
 * gcc vectorizes its short loops, and rte_softrss_be is faster by a tenth.
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
