/** readv and writev: pieces in order, the number of bytes, the errno of a call that fails. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { abi, addressOf, closeFile, IoVector, openFile } from '../../../../drivers/libc/index.js';
import { temporaryDirectory } from '../../../support/resources.js';

const O_CREAT = 0x40;

let directory: ReturnType<typeof temporaryDirectory>;
let path = '';

beforeEach(() => {
  directory = temporaryDirectory();
  path = `${directory.path}/file`;
});

afterEach(() => directory.remove());

function withFile<T>(use: (fd: number) => T): T {
  const fd = openFile(path, abi.O_RDWR | O_CREAT);
  try {
    return use(fd);
  } finally {
    closeFile(fd);
  }
}

it('writes pieces in their order, and reads into others', () => {
  const memory = Buffer.from(new SharedArrayBuffer(4096));
  memory.write('header', 0);
  memory.write('second', 2048);
  memory.write('third', 1001);
  const base = addressOf(memory);
  const vector = new IoVector(4);
  vector.set(0, base, 6);
  vector.set(1, base + 2048, 3);
  vector.set(2, base + 1001, 5);
  expect(withFile((fd) => vector.writeTo(fd, 3))).toBe(14);
  expect(readFileSync(path, 'utf8')).toBe('headersecthird');

  vector.set(0, base + 100, 4);
  vector.set(1, base + 300, 0);
  vector.set(2, base + 200, 100);
  expect(withFile((fd) => vector.readFrom(fd, 3))).toBe(14);
  expect(memory.toString('latin1', 100, 104)).toBe('head');
  expect(memory.toString('latin1', 200, 210)).toBe('ersecthird');
  expect(memory[104]).toBe(0);
});

it('gives the kernel no more pieces than it has room for', () => {
  const memory = Buffer.from(new SharedArrayBuffer(4096));
  const vector = new IoVector(2);
  for (let i = 0; i < 3; i++) vector.set(i, addressOf(memory), 4);
  expect(withFile((fd) => vector.writeTo(fd, 3))).toBe(-abi.EINVAL);
  expect(withFile((fd) => vector.readFrom(fd, 3))).toBe(-abi.EINVAL);
  expect(withFile((fd) => vector.writeTo(fd, 2))).toBe(8);
});

it('uses only the first pieces, and keeps them for the next call', () => {
  const memory = Buffer.from(new SharedArrayBuffer(64));
  memory.write('abcdef');
  const vector = new IoVector(2);
  vector.set(0, addressOf(memory), 2);
  vector.set(1, addressOf(memory) + 2, 4);
  withFile((fd) => {
    expect(vector.writeTo(fd, 1)).toBe(2);
    expect(vector.writeTo(fd, 2)).toBe(6);
  });
  expect(readFileSync(path, 'utf8')).toBe('ababcdef');
});

it('returns minus the errno', () => {
  const vector = new IoVector(1);
  vector.set(0, 8, 16);
  expect(vector.readFrom(-1, 1)).toBe(-9); // EBADF
  expect(vector.writeTo(-1, 1)).toBe(-9);
  expect(withFile((fd) => vector.writeTo(fd, 1))).toBe(-14); // EFAULT: nothing is mapped there
});
