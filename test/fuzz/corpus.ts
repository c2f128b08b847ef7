/** Cases as files: `corpus/TARGET/HASH`, one a case, as small as they are. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** In the source, whether this runs from there or compiled. */
const FOLDER = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? 'corpus/' : '../../../test/fuzz/corpus/', import.meta.url),
);
const HASH_CHARACTERS = 12;

export function readCorpus(target: string): Uint8Array[] {
  const folder = join(FOLDER, target);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((name) => new Uint8Array(readFileSync(join(folder, name))));
}

/** Makes these, and no others, the corpus of a target. */
export function writeCorpus(target: string, cases: readonly Uint8Array[]): void {
  const folder = join(FOLDER, target);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const bytes of cases) writeFileSync(join(folder, nameOf(bytes)), bytes);
}

/**
 * Saves a finding in the working directory, or in that for temporary files where the disk is full or may not be written.
 * Returns what `--replay` takes: a file, or if need be the shell's words that make one. A finding is never lost.
 */
export function saveFinding(target: string, bytes: Uint8Array): string {
  const name = `finding-${target}-${nameOf(bytes)}`;
  for (const path of [name, join(tmpdir(), name)]) {
    try {
      writeFileSync(path, bytes);
      return path;
    } catch {
      // What was written of it is no case.
      rmSync(path, { force: true });
    }
  }
  return `<(echo ${Buffer.from(bytes).toString('base64')} | base64 -d)`;
}

function nameOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, HASH_CHARACTERS);
}
