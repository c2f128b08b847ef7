/**
 * The cases of each target in one text file, `corpus/TARGET.txt`: a line per case with the case's name, a space and its bytes
 * in hexadecimal. Lines are sorted by name, so that files that grew on two branches can be merged line by line.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** In the source tree, whether this module runs from there or compiled. */
const FOLDER = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? 'corpus/' : '../../../test/fuzz/corpus/', import.meta.url),
);
const HASH_CHARACTERS = 12;
const LINE = /^([0-9a-f]{12}) ((?:[0-9a-f]{2})*)$/;

/** The cases of a target, sorted by name. Without a file there are none. Throws where a line is not a case. */
export function readCorpus(target: string, folder = FOLDER): Uint8Array[] {
  const path = join(folder, `${target}.txt`);
  if (!existsSync(path)) return [];
  const cases = new Map<string, Uint8Array>();
  for (const [i, line] of readFileSync(path, 'utf8').split('\n').entries()) {
    if (line === '') continue;
    const [, name = '', hex = ''] = LINE.exec(line) ?? [];
    const bytes = new Uint8Array(Buffer.from(hex, 'hex'));
    if (name !== nameOf(bytes)) {
      throw new Error(
        `${path}:${i + 1}: not a case; a line is the first ${HASH_CHARACTERS} digits of the SHA-256, a space and the bytes in hexadecimal`,
      );
    }
    cases.set(name, bytes);
  }
  return [...cases.keys()].sort().map((name) => cases.get(name)!);
}

/** Makes these cases, and no others, the corpus of a target. */
export function writeCorpus(target: string, cases: readonly Uint8Array[], folder = FOLDER): void {
  const lines = cases.map((bytes) => `${nameOf(bytes)} ${Buffer.from(bytes).toString('hex')}\n`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${target}.txt`), [...new Set(lines)].sort().join(''));
}

/**
 * Saves a finding in the working directory, or in that for temporary files where the disk is full or may not be written.
 * Returns what `--replay` takes: a file, or where no file can be written the shell's words that make one.
 */
export function saveFinding(target: string, bytes: Uint8Array): string {
  const name = `finding-${target}-${nameOf(bytes)}`;
  for (const path of [name, join(tmpdir(), name)]) {
    try {
      writeFileSync(path, bytes);
      return path;
    } catch {
      // A file that was written in part is not the case.
      rmSync(path, { force: true });
    }
  }
  return `<(echo ${Buffer.from(bytes).toString('base64')} | base64 -d)`;
}

function nameOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, HASH_CHARACTERS);
}
