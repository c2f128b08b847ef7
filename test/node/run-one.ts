/** Runs one test of Node in a process of its own, with the kernel's sockets or with the stack's. */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { USE_FILE } from './use-file.js';

export interface RunOptions {
  /** The file of the test. */
  readonly file: string;
  readonly flags: readonly string[];
  /** A module to load before it. */
  readonly preload: string | null;
  /** A folder for its files, which is removed. */
  readonly folder: string;
  readonly timeoutMs: number;
}

export interface Outcome {
  readonly status: 'pass' | 'fail' | 'timeout' | 'skip';
  /** The last lines that it wrote to stderr. */
  readonly text: string;
  /** Segments that its stack has sent. */
  readonly segments: number;
  readonly ms: number;
}

const MOST_TEXT = 100_000;
const SKIPPED = /^1\.\.0 # [Ss]kipped/m;

export async function runOne({ file, flags, preload, folder, timeoutMs }: RunOptions): Promise<Outcome> {
  mkdirSync(folder, { recursive: true });
  const useFile = join(folder, 'segments');
  const before = preload === null ? [] : ['--import', preload];
  const began = performance.now();
  const child = spawn(process.execPath, [...before, ...flags, file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_TEST_DIR: folder, TEST_SERIAL_ID: '0', [USE_FILE]: useFile },
  });
  let output = '';
  let text = '';
  child.stdout.on('data', (part) => {
    output = (output + part).slice(-MOST_TEXT);
  });
  child.stderr.on('data', (part) => {
    text = (text + part).slice(-MOST_TEXT);
  });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  const ms = Math.round(performance.now() - began);
  const status = isLate ? 'timeout' : code !== 0 ? 'fail' : SKIPPED.test(output) ? 'skip' : 'pass';
  const segments = readNumber(useFile);
  rmSync(folder, { recursive: true, force: true });
  return { status, text: status === 'skip' ? output : text, segments, ms };
}

function readNumber(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return 0;
  }
}
