/** Small files that were read less than a second ago, whole. */
import { close, read } from 'node:fs';
import type { OpenFile } from './file-tree.js';

export interface SmallFile {
  readonly content: Uint8Array;
  readonly type: string;
  readonly modified: string;
}

/** Longest file that is kept, in bytes. */
export const MAX_SMALL_BYTES = 32_768;
/** Bytes of all files that are kept. */
const MAX_TOTAL_BYTES = 8 << 20;
/** So that many empty files are no more than many files. */
const BYTES_PER_FILE = 256;

export class SmallFiles {
  private readonly files = new Map<string, SmallFile>();
  private total = 0;

  /** @param path of a request */
  get(path: string): SmallFile | undefined {
    return this.files.get(path);
  }

  keep(path: string, file: SmallFile): void {
    const bytes = file.content.length + path.length + BYTES_PER_FILE;
    if (this.files.has(path) || this.total + bytes > MAX_TOTAL_BYTES) return;
    this.total += bytes;
    this.files.set(path, file);
  }

  /** Forgets all files. Called every second: a file that has changed is served as it was for so long. */
  clear(): void {
    this.files.clear();
    this.total = 0;
  }
}

/** Reads a whole small file, and closes it. `done` gets null when it cannot be read, or has shrunk. */
export function readSmall({ fd, size, type, modified }: OpenFile, done: (file: SmallFile | null) => void): void {
  const content = new Uint8Array(size);
  read(fd, content, 0, size, 0, (error, count) => {
    close(fd, () => {});
    done(error === null && count === size ? { content, type, modified } : null);
  });
}
