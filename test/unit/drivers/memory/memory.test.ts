/**
 * Files under a SharedArrayBuffer: mapped bytes are visible, unmapped ones are zeros, and nothing leaves a hole or a
 * leak.
 */
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { addressOf, closeFile, memfd, SystemError } from '../../../../drivers/libc/index.js';
import {
  HUGEPAGE_BYTES,
  LinearAddressSpace,
  MAX_WINDOW_BYTES,
  MemoryWindow,
  PacketMemory,
  readHugepages,
} from '../../../../drivers/memory/index.js';
import { mappedBytes, openFds } from '../../../support/resources.js';

const fds: number[] = [];

/** A memfd that is closed after the test. */
function file(bytes: number): number {
  const fd = memfd('memory-test', bytes, false);
  fds.push(fd);
  return fd;
}

afterEach(() => {
  for (const fd of fds.splice(0)) closeFile(fd);
});

/** Free pages of the default hugepage size, as the kernel counts them. */
function freeHugepages(): number {
  return Number(/^HugePages_Free:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0);
}

/** Whether a window can ask for more hugepages than are free. */
const canExhaust = freeHugepages() + 64 <= MAX_WINDOW_BYTES / HUGEPAGE_BYTES;

describe.each([
  ['for several threads', MemoryWindow.reserve, SharedArrayBuffer],
  ['for one thread', MemoryWindow.reserveForThread, ArrayBuffer],
] as const)('MemoryWindow %s', (_, reserve, kind) => {
  it('is aligned to hugepages and rounded up, and its views cover the same bytes', () => {
    const window = reserve(1);
    expect(window.buffer).toBeInstanceOf(kind);
    expect(window.size).toBe(HUGEPAGE_BYTES);
    expect(window.address % HUGEPAGE_BYTES).toBe(0);
    expect(addressOf(window.u8)).toBe(window.address);
    expect([window.u8.length, window.u16.length * 2, window.u32.length * 4]).toEqual([
      HUGEPAGE_BYTES,
      HUGEPAGE_BYTES,
      HUGEPAGE_BYTES,
    ]);
    window.u32[1] = 0x0403_0201;
    expect([...window.u8.subarray(4, 8)]).toEqual([1, 2, 3, 4]);
    expect(window.u16[3]).toBe(0x0403);
  });

  it('shows one file in two windows: each sees what the other writes, at any page', () => {
    const fd = file(4 * 4096);
    const [a, b] = [reserve(4 * 4096), reserve(4 * 4096)];
    a.mapFile(0, 4 * 4096, fd, 0, 'whole file');
    b.mapFile(4096, 4096, fd, 2 * 4096, 'third page');
    a.u8[2 * 4096 + 5] = 77;
    expect(b.u8[4096 + 5]).toBe(77);
    b.u32[1024] = 0xdead_beef;
    expect(a.u32[2 * 1024]).toBe(0xdead_beef);
    expect(b.u8[0]).toBe(0);
  });

  it('reads zeros where a file was unmapped, and does not write into the file', () => {
    const fd = file(4096);
    const [a, b] = [reserve(4096), reserve(4096)];
    a.mapFile(0, 4096, fd, 0, 'file');
    b.mapFile(0, 4096, fd, 0, 'file');
    a.u8.fill(9, 0, 4096);
    a.unmap(0, 4096);
    expect(a.u8.subarray(0, 4096).every((byte) => byte === 0)).toBe(true);
    a.u8[0] = 1;
    expect(b.u8[0]).toBe(9);
  });

  it.each([
    ['before the window', -4096, 4096],
    ['beyond the window', HUGEPAGE_BYTES, 4096],
    ['over the end of the window', HUGEPAGE_BYTES - 4096, 8192],
    ['nothing', 0, 0],
    ['not a number', Number.NaN, 4096],
  ])('refuses a mapping %s and touches nothing', (_, offset, length) => {
    const window = reserve(HUGEPAGE_BYTES);
    window.u8[0] = 5;
    const fd = file(16384);
    expect(() => window.mapFile(offset, length, fd, 0, 'file')).toThrow(RangeError);
    expect(() => window.unmap(offset, length)).toThrow(RangeError);
    expect(window.u8[0]).toBe(5);
  });

  it('refuses an offset that is not a multiple of a page', () => {
    const window = reserve(HUGEPAGE_BYTES);
    expect(() => window.mapFile(100, 4096, file(4096), 0, 'file')).toThrow(/not a multiple of a page/);
  });

  it('names the target when the file cannot be mapped, and leaves no hole', () => {
    const window = reserve(HUGEPAGE_BYTES);
    expect(() => window.mapFile(0, 4096, 9999, 0, 'memory of the peer')).toThrow(/mmap memory of the peer.*EBADF/);
    expect(mappedBytes(window.address, window.size)).toBe(window.size);
  });

  it.runIf(canExhaust)('leaves no hole where the kernel has run out of hugepages', () => {
    const bytes = (freeHugepages() + 64) * HUGEPAGE_BYTES;
    const fd = memfd('memory-test', bytes, true);
    fds.push(fd);
    const window = reserve(bytes);
    expect(() => window.mapFile(0, bytes, fd, 0, 'hugepages', true)).toThrow(SystemError);
    expect(mappedBytes(window.address, window.size)).toBe(window.size);
    window.u8[bytes - 1] = 1;
    expect(window.u8[bytes - 1]).toBe(1);
  });

  it.each([0, -1, Number.NaN, MAX_WINDOW_BYTES + 1])('refuses a size of %d bytes', (size) => {
    expect(() => reserve(size)).toThrow(RangeError);
  });
});

describe('PacketMemory', () => {
  it('is one zeroed file of whole hugepages, whatever pages it consists of', () => {
    const memory = PacketMemory.create(3 * 1024 * 1024, 'never');
    expect(memory.size).toBe(2 * HUGEPAGE_BYTES);
    expect(memory.hugepages).toBe(false);
    expect(memory.notice).toBe('');
    expect(memory.u8.every((byte) => byte === 0)).toBe(true);
    const peer = MemoryWindow.reserve(memory.size);
    peer.mapFile(0, memory.size, memory.fd, 0, 'the same file');
    memory.u32[700_000] = 42;
    expect(peer.u32[700_000]).toBe(42);
    memory.dispose();
  });

  it('is shared with a worker thread that gets the buffer by message', async () => {
    const memory = PacketMemory.create(HUGEPAGE_BYTES, 'never');
    const { buffer, start, size } = memory.window;
    memory.u32[10] = 1234;
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');
       const u32 = new Uint32Array(workerData.buffer, workerData.start, workerData.size >> 2);
       parentPort.once('message', () => {
         u32[11] = u32[10] + 1;
         Atomics.store(u32, 12, 99);
         parentPort.postMessage('done');
       });`,
      { eval: true, workerData: { buffer, start, size } },
    );
    const done = new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    worker.postMessage('go');
    await done;
    expect([memory.u32[11], Atomics.load(memory.u32, 12)]).toEqual([1235, 99]);
    await worker.terminate();
    memory.dispose();
  });

  it('gives out aligned ranges one behind the other, and says when it is too small', () => {
    const memory = PacketMemory.create(1, 'never');
    expect(memory.allocate(10, 16)).toBe(0);
    expect(memory.allocate(10, 128)).toBe(128);
    expect(memory.allocate(4096, 4096)).toBe(4096);
    expect(() => memory.allocate(HUGEPAGE_BYTES, 1)).toThrow(`packet memory of ${HUGEPAGE_BYTES} bytes is too small`);
    // The refused range took nothing.
    expect(memory.allocate(1, 1)).toBe(8192);
    memory.dispose();
  });

  it('gives its descriptor back when disposed, also twice, and reads as zeros then', () => {
    const before = openFds();
    const memory = PacketMemory.create(1, 'never');
    expect(openFds()).toBe(before + 1);
    memory.u8[100] = 1;
    memory.dispose();
    memory.dispose();
    expect(openFds()).toBe(before);
    expect(memory.u8[100]).toBe(0);
    expect(mappedBytes(memory.address, memory.size)).toBe(memory.size);
  });

  it.runIf(canExhaust)('with "require" fails in one line with the missing hugepages, and leaves nothing', () => {
    const pages = freeHugepages() + 64;
    const before = openFds();
    expect(() => PacketMemory.create(pages * HUGEPAGE_BYTES, 'require')).toThrow(
      new RegExp(`^no ${pages} hugepages of 2 MiB .*sysctl vm.nr_hugepages=${readHugepages().reserved + pages}'$`),
    );
    expect(openFds()).toBe(before);
  });

  it.runIf(canExhaust)('with "auto" takes normal pages where hugepages are missing, says so in one line', () => {
    const memory = PacketMemory.create((freeHugepages() + 8) * HUGEPAGE_BYTES, 'auto');
    expect(memory.hugepages).toBe(false);
    expect(memory.notice).toMatch(/^no \d+ free hugepages of 2 MiB \(ENOSPC\), using normal pages; reserve them/);
    expect(memory.notice).not.toContain('\n');
    memory.dispose();
  });

  it.each([0, -5, Number.NaN, 2 ** 40])('refuses a size of %d bytes and leaves nothing', (size) => {
    const before = openFds();
    for (const policy of ['auto', 'never', 'require'] as const) {
      expect(() => PacketMemory.create(size, policy)).toThrow(/^packet memory of .* bytes; possible are/);
    }
    expect(openFds()).toBe(before);
  });
});

describe('LinearAddressSpace', () => {
  it('adds its base exactly, far above 32 bits', () => {
    const space = new LinearAddressSpace(2 ** 40);
    expect(space.iova(4097)).toBe(2 ** 40 + 4097);
    expect(space.contiguousBytes).toBe(Number.POSITIVE_INFINITY);
  });
});
