/**
 * The case that runs, in a file that both the fuzzing process and the one that watches it have mapped: what the first was
 * doing when it died of a signal, or hung, can be read by the second.
 */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { abi, closeFile, openFile } from '../../drivers/libc/index.js';
import { HUGEPAGE_BYTES, MemoryWindow } from '../../drivers/memory/index.js';

/** Words before the case: how many cases were begun, and the bytes of this one. */
const CASES = 0;
const LENGTH = 1;
const HEAD_BYTES = 64;

export interface LastCase {
  readonly cases: number;
  readonly bytes: Uint8Array;
}

export function createLastCase(path: string): void {
  writeFileSync(path, '');
  truncateSync(path, HUGEPAGE_BYTES);
}

export function readLastCase(path: string): LastCase {
  const bytes = readFileSync(path);
  const length = bytes.readUInt32LE(4 * LENGTH);
  return { cases: bytes.readUInt32LE(4 * CASES), bytes: bytes.subarray(HEAD_BYTES, HEAD_BYTES + length) };
}

export class LastCaseFile {
  /** For the case. */
  readonly scratch: Uint8Array;
  private readonly words: Uint32Array;

  constructor(path: string) {
    const fd = openFile(path, abi.O_RDWR);
    const window = MemoryWindow.reserve(HUGEPAGE_BYTES);
    try {
      window.mapFile(0, HUGEPAGE_BYTES, fd, 0, path);
    } finally {
      closeFile(fd);
    }
    this.words = window.u32;
    this.scratch = window.u8.subarray(HEAD_BYTES);
  }

  note(cases: number, length: number): void {
    this.words[CASES] = cases;
    this.words[LENGTH] = length;
  }
}
