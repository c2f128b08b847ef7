/** The files that a peer's memory may consist of: only files of memory. A file that the peer could shrink is taken only where a port allows it. */
import { ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { native } from '../../../../../drivers/libc/ffi/native.js';
import { cString } from '../../../../../drivers/libc/files.js';
import {
  abi,
  closeFile,
  closeInPlace,
  connectUnix,
  eventfd,
  listenUnix,
  memfd,
  memorySeals,
  Reactor,
} from '../../../../../drivers/libc/index.js';
import { HUGEPAGE_BYTES, WindowAllocator } from '../../../../../drivers/memory/index.js';
import { VhostUserBackend } from '../../../../../drivers/transports/vhost-user/backend.js';
import { type PeerFiles, PeerMemory } from '../../../../../drivers/transports/vhost-user/peer-memory.js';
import * as p from '../../../../../drivers/transports/vhost-user/protocol.js';
import { until } from '../../../../support/until.js';
import { FakeFrontend } from '../../../../support/vhost-user/fake-frontend.js';

const BYTES = 4 * 4096;
const GUEST = 0x1_0000_0000n;
const EPERM = { code: 'EPERM' };
let folder: string;
let open: number[];

beforeEach(() => {
  folder = mkdtempSync('/dev/shm/tspmd-');
  open = [];
});

afterEach(() => {
  for (const fd of open) closeFile(fd);
  rmSync(folder, { recursive: true });
});

/** An unsealed memfd, as a peer may make it. */
function peerFile(flags: number): number {
  const fd = native.memfdCreate(cString('peer'), abi.MFD_CLOEXEC | flags);
  open.push(fd);
  ftruncateSync(fd, BYTES);
  return fd;
}

/** On tmpfs. */
function plainFile(): number {
  const fd = openSync(join(folder, 'memory'), 'w+');
  open.push(fd);
  ftruncateSync(fd, BYTES);
  return fd;
}

function map(fd: number, files?: PeerFiles): PeerMemory {
  const region = { guestAddress: GUEST, size: BigInt(BYTES), userAddress: GUEST, mmapOffset: 0n };
  return PeerMemory.map([region], [fd], new WindowAllocator(HUGEPAGE_BYTES), files);
}

describe('a peer’s memory', () => {
  it('is taken when its peer has sealed it, and all of it can be accessed', () => {
    const fd = peerFile(abi.MFD_ALLOW_SEALING);
    expect(native.fcntl(fd, abi.F_ADD_SEALS, abi.F_SEAL_SHRINK)).toBe(0);
    const memory = map(fd, 'sealed');
    expect(() => ftruncateSync(fd, 0)).toThrow(expect.objectContaining(EPERM));
    const end = memory.translate(BYTES - 1, 1, 1);
    memory.memory.u8[end] = 7;
    expect(memory.memory.u8[end]).toBe(7);
    // It may become longer.
    ftruncateSync(fd, 2 * BYTES);
    memory.close();
  });

  it('is taken unsealed, and left so, unless the port wants sealed memory', () => {
    for (const fd of [peerFile(0), plainFile(), peerFile(abi.MFD_ALLOW_SEALING)]) {
      const seals = memorySeals(fd);
      map(fd).close();
      // To seal it would be to wait for a lock that the peer can hold.
      expect(memorySeals(fd)).toBe(seals);
      expect(() => map(fd, 'sealed')).toThrow(
        'memory region at guest address 0x100000000: its file can shrink, and this port takes sealed memory only',
      );
    }
  });

  it('may not be a disk file, device, socket, directory, pipe or eventfd of any name', () => {
    const disk = mkdtempSync(join(tmpdir(), 'tspmd-'));
    const path = join(disk, 'memfd:x (deleted)');
    writeFileSync(path, Buffer.alloc(BYTES));
    const listener = listenUnix(join(folder, 's'));
    try {
      open.push(openSync(path, 'r+'), openSync('/dev/zero', 'r+'), openSync(folder, 'r'), eventfd(), listener);
      for (const fd of open) {
        expect(() => map(fd)).toThrow(
          /its file descriptor is not a file of memory: a memfd, or a file of tmpfs or hugetlbfs$/,
        );
      }
    } finally {
      rmSync(disk, { recursive: true });
    }
  });

  it('keeps its files until it is unmapped, and then gives them to the closer', () => {
    const fd = native.memfdCreate(cString('kept'), abi.MFD_CLOEXEC);
    ftruncateSync(fd, BYTES);
    const memory = map(fd);
    const isMapped = (): boolean => readFileSync('/proc/self/maps', 'utf8').includes('/memfd:kept');
    const closed: [number, boolean][] = [];
    const close = (given: number): void => {
      closed.push([given, isMapped()]);
      closeFile(given);
    };
    memory.adopt([fd], { ...closeInPlace, close });
    expect(isMapped()).toBe(true);
    memory.close();
    memory.close();
    expect(closed).toEqual([[fd, false]]);
  });

  it('is taken when the peer has sealed it, with whatever seals', () => {
    const fd = peerFile(abi.MFD_ALLOW_SEALING);
    expect(native.fcntl(fd, abi.F_ADD_SEALS, abi.F_SEAL_SHRINK | abi.F_SEAL_SEAL)).toBe(0);
    map(fd, 'sealed').close();
  });

  it('is sealed by us when we are the peer: neither length nor seals can change', () => {
    const fd = memfd('ours', BYTES, false);
    open.push(fd);
    expect(native.fcntl(fd, abi.F_GET_SEALS, 0)).toBe(abi.F_SEAL_SHRINK | abi.F_SEAL_GROW | abi.F_SEAL_SEAL);
    for (const size of [0, 2 * BYTES]) expect(() => ftruncateSync(fd, size)).toThrow(expect.objectContaining(EPERM));
    map(fd, 'sealed').close();
  });
});

describe('a port that takes sealed memory only', () => {
  it('refuses a table of a file that can shrink, and serves the next one', async () => {
    const reactor = new Reactor();
    const path = join(folder, 's');
    const notices: string[] = [];
    const backend = new VhostUserBackend({ path, reactor, windows: new WindowAllocator(1 << 26), files: 'sealed' });
    backend.onNotice = (line) => notices.push(line);
    const frontend = new FakeFrontend(connectUnix(path), reactor);
    try {
      frontend.tell(p.VhostUserRequest.SET_PROTOCOL_FEATURES, p.encodeU64(p.PROTOCOL_F_REPLY_ACK));
      const region = { ...frontend.region(), size: BigInt(BYTES) };
      const table = p.encodeMemoryTable([region]);
      expect(await frontend.confirm(p.VhostUserRequest.SET_MEM_TABLE, table, [plainFile()])).toBe(false);
      await until('a notice', () => notices.some((line) => line.includes('SET_MEM_TABLE refused: memory region')));
      expect(await frontend.confirm(p.VhostUserRequest.SET_MEM_TABLE, table, [frontend.memoryFd])).toBe(true);
    } finally {
      frontend.close();
      backend.close();
      reactor.close();
    }
  });
});
