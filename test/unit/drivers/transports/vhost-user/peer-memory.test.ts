import { mkdtempSync, openSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { closeFile, eventfd, memfd } from '../../../../../drivers/libc/index.js';
import { MemoryWindow, WindowAllocator } from '../../../../../drivers/memory/index.js';
import { PeerMemory } from '../../../../../drivers/transports/vhost-user/peer-memory.js';
import type { MemoryRegion } from '../../../../../drivers/transports/vhost-user/protocol.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const FILE_BYTES = 4 * MIB;
const GUEST = 0x1_0000_0000n;
const USER = 0x7fff_0000_0000n;

let windows: WindowAllocator;
let fd: number;

beforeEach(() => {
  windows = new WindowAllocator(64 * MIB);
  fd = memfd('peer', FILE_BYTES, false);
});

afterEach(() => closeFile(fd));

function region(values: Partial<MemoryRegion> = {}): MemoryRegion {
  return { guestAddress: GUEST, size: BigInt(FILE_BYTES), userAddress: USER, mmapOffset: 0n, ...values };
}

const map = (regions: readonly MemoryRegion[], fds = regions.map(() => fd)): PeerMemory =>
  PeerMemory.map(regions, fds, windows);

const translate = (memory: PeerMemory, address: bigint, length: number): number =>
  memory.translate(Number(address & 0xffffffffn), Number(address >> 32n), length);

describe('PeerMemory', () => {
  it('shows the bytes of the file, at guest and at user addresses', () => {
    const own = MemoryWindow.reserve(FILE_BYTES);
    own.mapFile(0, FILE_BYTES, fd, 0, 'test');
    own.u8[5000] = 42;
    const memory = map([region()]);
    const offset = translate(memory, GUEST + 5000n, 1);
    expect(memory.memory.u8[offset]).toBe(42);
    expect(memory.translateUser(USER + 5000n, 1)).toBe(offset);
    memory.memory.u8[offset + 1] = 43;
    expect(own.u8[5001]).toBe(43);
    memory.close();
  });

  it('translates only ranges that lie in one region as a whole', () => {
    const memory = map([region()]);
    const end = GUEST + BigInt(FILE_BYTES);
    const start = translate(memory, GUEST, 1);
    expect(translate(memory, GUEST, FILE_BYTES)).toBe(start);
    expect(translate(memory, end - 1n, 1)).toBe(start + FILE_BYTES - 1);
    expect(translate(memory, end - 1n, 2)).toBe(-1);
    expect(translate(memory, end, 1)).toBe(-1);
    expect(translate(memory, GUEST - 1n, 2)).toBe(-1);
    expect(translate(memory, 2n ** 64n - 1n, 1)).toBe(-1);
    expect(translate(memory, 2n ** 64n - 4096n, 0xffffffff)).toBe(-1);
    expect(memory.translateUser(USER - 1n, 2)).toBe(-1);
    expect(memory.translateUser(2n ** 64n - 1n, 1)).toBe(-1);
    memory.close();
  });

  it("maps several regions, of one file and with offsets into it, as QEMU's PC has", () => {
    const low = region({ guestAddress: 0n, size: 0xa0000n, mmapOffset: 0n });
    const high = region({
      guestAddress: 0xc0000n,
      size: 0x200000n,
      userAddress: USER + 0xc0000n,
      mmapOffset: 0xc0000n,
    });
    const own = MemoryWindow.reserve(FILE_BYTES);
    own.mapFile(0, FILE_BYTES, fd, 0, 'test');
    own.u8[0xc0000 + 77] = 9;
    const memory = map([high, low]);
    expect(memory.memory.u8[translate(memory, 0xc0000n + 77n, 1)]).toBe(9);
    expect(translate(memory, 0x9ffffn, 1)).toBeGreaterThanOrEqual(0);
    expect(translate(memory, 0xa0000n, 1)).toBe(-1);
    expect(translate(memory, 0x9ffffn, 2)).toBe(-1);
    memory.close();
  });

  it('lets a buffer cross regions that are adjacent for the guest and in the window', () => {
    const memory = map([
      region({ size: BigInt(2 * MIB) }),
      region({ guestAddress: GUEST + BigInt(2 * MIB), size: BigInt(2 * MIB), mmapOffset: BigInt(2 * MIB) }),
    ]);
    const start = translate(memory, GUEST, 1);
    expect(translate(memory, GUEST + BigInt(2 * MIB) - 10n, 20)).toBe(start + 2 * MIB - 10);
    memory.close();
  });

  it('gives its address range back', () => {
    const first = map([region()]);
    const offset = translate(first, GUEST, 1);
    first.memory.u8[offset] = 1;
    first.close();
    first.close();
    expect(first.memory.u8[offset]).toBe(0);
    const second = map([region()]);
    expect(translate(second, GUEST, 1)).toBe(offset);
    expect(second.memory.u8[offset]).toBe(1);
    second.close();
  });

  it.each<[string, Partial<MemoryRegion>, RegExp]>([
    ['of no size', { size: 0n }, /size 0/],
    ['longer than its file', { size: BigInt(FILE_BYTES) + 1n }, /ends at byte 4194305 of a file of 4194304 bytes/],
    ['beyond its file', { mmapOffset: BigInt(FILE_BYTES) }, /ends at byte 8388608/],
    ['that wraps', { guestAddress: 2n ** 64n - 4096n }, /beyond 2\^52/],
    ['whose user address wraps', { userAddress: 2n ** 64n - 4096n }, /beyond 2\^52/],
    ['whose offset wraps', { mmapOffset: 2n ** 64n - 4096n }, /beyond 2\^52/],
    ['of an absurd size', { size: 2n ** 63n }, /beyond 2\^52/],
    ['at an odd offset', { mmapOffset: 100n, size: 4096n }, /not at the start of a page/],
    ['at an odd address', { guestAddress: GUEST + 8n }, /not at the start of a page/],
  ])('refuses a region %s', (_, values, message) => {
    expect(() => map([region(values)])).toThrow(message);
  });

  it('refuses an empty table, and regions that overlap', () => {
    expect(() => map([])).toThrow(/no regions/);
    const second = region({ guestAddress: GUEST + 4096n, size: 4096n });
    expect(() => map([second, region()])).toThrow(/overlaps/);
  });

  it('refuses more than a window can hold, and names the size', () => {
    const folder = mkdtempSync('/dev/shm/tspmd-');
    const path = join(folder, 'big');
    const big = openSync(path, 'w+');
    truncateSync(path, 5 * 1024 * MIB);
    expect(() => map([region({ size: 5n * 1024n * BigInt(MIB) })], [big])).toThrow(/5368709120 bytes/);
    closeFile(big);
    rmSync(folder, { recursive: true });
  });

  it('refuses a descriptor that is no file, and a file that may not be written', () => {
    const event = eventfd();
    expect(() => map([region()], [event])).toThrow(/not a file of memory/);
    closeFile(event);
    const folder = mkdtempSync('/dev/shm/tspmd-');
    const path = join(folder, 'readonly');
    closeFile(openSync(path, 'w'));
    truncateSync(path, FILE_BYTES);
    const readonly = openSync(path, 'r');
    expect(() => map([region()], [readonly])).toThrow(/mmap memory region of 4194304 bytes.*EACCES/);
    closeFile(readonly);
    rmSync(folder, { recursive: true });
    // The window holds nothing of the refused tables.
    const all = windows.allocate(64 * MIB);
    expect(all.offset).toBe(0);
  });
});
