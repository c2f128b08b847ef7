/** The memory table of a vhost-user peer: files of any size and kind, regions that overlap, wrap or lie about their size. */
import { closeSync, openSync } from 'node:fs';
import { closeFile, eventfd, memfd } from '../../../drivers/libc/index.js';
import { HUGEPAGE_BYTES, WindowAllocator } from '../../../drivers/memory/index.js';
import { PeerMemory } from '../../../drivers/transports/vhost-user/peer-memory.js';
import {
  decodeMemoryTable,
  encodeMemoryTable,
  type MemoryRegion,
  ProtocolError,
} from '../../../drivers/transports/vhost-user/protocol.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const PAGE = 4096;
/** Sizes of the files; each page begins with its own number in its file. */
const PAGES = [1, 2, 3, 8];
const WINDOW_BYTES = 32 * HUGEPAGE_BYTES;
const EDGES = [
  0n,
  1n << 32n,
  (1n << 32n) - 4096n,
  (1n << 52n) - 4096n,
  1n << 52n,
  (1n << 63n) - 4096n,
  (1n << 64n) - 4096n,
];

export const memoryTable: FuzzTarget = {
  name: 'memory-table',
  summary:
    'memory tables and addresses of a vhost-user peer: overlaps, wraps, lies about sizes; what translates is the region',
  maxBytes: 384,
  prepare(feedback) {
    const files = PAGES.map((pages, i) => {
      const fd = memfd(`fuzz ${i}`, pages * PAGE, false);
      return { fd, pages };
    });
    const device = openSync('/dev/null', 'r');
    const event = eventfd();
    const windows = new WindowAllocator(WINDOW_BYTES);

    const region = (input: Input): MemoryRegion => {
      const shape = input.u8();
      const number = (wild: boolean): bigint => {
        if (!wild) return BigInt(input.below(8) * PAGE);
        const how = input.u8();
        if ((how & 1) !== 0) return input.u64();
        return BigInt.asUintN(
          64,
          EDGES[(how >>> 1) % EDGES.length]! + BigInt((input.u8() - 128) * ((how & 0x80) !== 0 ? PAGE : 1)),
        );
      };
      return {
        guestAddress: number((shape & 3) === 3),
        size:
          (shape & 12) === 12
            ? number(true)
            : BigInt((1 + input.below(4)) * PAGE - ((shape & 0x40) !== 0 ? input.u8() : 0)),
        userAddress: number((shape & 0x30) === 0x30),
        mmapOffset: (shape & 0x80) === 0 ? 0n : number((shape & 1) !== 0),
      };
    };

    /** A translation that succeeds is that of one region, or of several that follow each other. */
    const expected = (regions: readonly MemoryRegion[], address: bigint, length: bigint): boolean => {
      let at = address;
      const end = address + length;
      while (at < end) {
        const next = regions.find((r) => at >= r.guestAddress && at < r.guestAddress + r.size);
        if (next === undefined) return false;
        at = next.guestAddress + next.size;
      }
      return true;
    };

    const run = (input: Input): void => {
      const shape = input.u8();
      const regions = Array.from({ length: (shape & 7) + (shape >>> 6) }, () => region(input));
      const fds = regions.map(() => {
        const which = input.below(16);
        return which === 15 ? device : which === 14 ? event : files[which % files.length]!.fd;
      });
      const payload = encodeMemoryTable(regions);
      // A table that says another number of regions, or is cut short.
      if ((shape & 0x18) === 0x18) payload[0] = input.u8();
      let memory: PeerMemory;
      try {
        const decoded = decodeMemoryTable(
          payload.subarray(0, payload.length - ((shape & 0x38) === 0x30 ? input.u8() : 0)),
          'table',
        );
        check(decoded.length <= 8 && decoded.length === regions.length, `${decoded.length} regions decoded`);
        memory = PeerMemory.map(decoded, fds, windows);
      } catch (error) {
        const { name, message } = error as Error;
        if (!(error instanceof ProtocolError || name === 'Error' || name === 'SystemError' || name === 'RangeError'))
          throw error;
        if (/undefined|NaN|Cannot|Invalid|array/.test(message)) throw error;
        let state = 0;
        const text = message.replace(/0x[0-9a-f]+|\d+/g, '');
        for (let i = 0; i < text.length; i++) state = (state * 31 + text.charCodeAt(i)) & 0x3ff;
        feedback.mark(state);
        return;
      }
      feedback.mark(0x8000 + regions.length);
      try {
        const { u8, u32 } = memory.memory;
        for (let n = 0; n < 8; n++) {
          const which = regions[input.below(regions.length)]!;
          const address = BigInt.asUintN(64, which.guestAddress + BigInt(input.u16() - 256));
          const length = 1 + ((shape & 0x20) !== 0 ? input.u32() : input.u16());
          const offset = memory.translate(Number(address & 0xffff_ffffn), Number(address >> 32n), length);
          const user = memory.translateUser(BigInt.asUintN(64, which.userAddress + BigInt(input.u8())), length);
          check(user < 0 || user + length <= u8.length, 'a user address outside the window');
          if (offset < 0) continue;
          check(Number.isInteger(offset) && offset + length <= u8.length, 'an address outside the window');
          check(expected(regions, address, BigInt(length)), 'an address that is in no region translates');
          // Both ends can be touched: the file is under them.
          u8[offset] = u8[offset]!;
          u8[offset + length - 1] = u8[offset + length - 1]!;
          feedback.mark(0x4000 + (u32[offset >>> 2]! & 1));
        }
      } finally {
        memory.close();
      }
      const { gaps } = windows as unknown as { gaps: unknown[] };
      check(gaps.length === 1, 'the window is not whole again');
    };
    return {
      run,
      close: () => {
        for (const { fd } of files) closeFile(fd);
        closeSync(device);
        closeFile(event);
      },
    };
  },
};
