import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as p from '../../../../../drivers/transports/vhost-user/protocol.js';

const u32 = fc.nat(0xffffffff);
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

describe('vhost-user payloads', () => {
  it('come back as they were encoded', () => {
    fc.assert(
      fc.property(u64, u32, u32, fc.nat(255), fc.boolean(), (value, index, num, ring, hasFd) => {
        expect(p.decodeU64(p.encodeU64(value), 'X')).toBe(value);
        expect(p.decodeVringState(p.encodeVringState({ index, num }), 'X')).toEqual({ index, num });
        expect(p.decodeVringFd(p.encodeVringFd(ring, hasFd), 'X')).toEqual({ index: ring, hasFd });
      }),
    );
    const address = fc.record({ index: u32, flags: u32, descriptor: u64, used: u64, available: u64, log: u64 });
    fc.assert(
      fc.property(address, (value) => {
        expect(p.decodeVringAddress(p.encodeVringAddress(value), 'X')).toEqual(value);
      }),
    );
    const region = fc.record({ guestAddress: u64, size: u64, userAddress: u64, mmapOffset: u64 });
    fc.assert(
      fc.property(fc.array(region, { maxLength: 8 }), (regions) => {
        expect(p.decodeMemoryTable(p.encodeMemoryTable(regions), 'X')).toEqual(regions);
      }),
    );
  });

  it('lie in memory as the specification has them', () => {
    expect(p.encodeVringFd(3, false).toString('hex')).toBe('0301000000000000');
    expect(p.encodeVringState({ index: 1, num: 256 }).toString('hex')).toBe('0100000000010000');
    const address = p.encodeVringAddress({ index: 1, flags: 2, descriptor: 3n, used: 4n, available: 5n, log: 6n });
    expect([0, 4].map((at) => address.readUInt32LE(at))).toEqual([1, 2]);
    expect([8, 16, 24, 32].map((at) => address.readBigUInt64LE(at))).toEqual([3n, 4n, 5n, 6n]);
    const table = p.encodeMemoryTable([{ guestAddress: 1n, size: 2n, userAddress: 3n, mmapOffset: 4n }]);
    expect([0, 4].map((at) => table.readUInt32LE(at))).toEqual([1, 0]);
    expect([8, 16, 24, 32].map((at) => table.readBigUInt64LE(at))).toEqual([1n, 2n, 3n, 4n]);
  });

  it('of a wrong size are refused, and the error names the request', () => {
    const decoders = [p.decodeU64, p.decodeVringState, p.decodeVringFd, p.decodeVringAddress, p.decodeMemoryTable];
    const right = new Map<unknown, number>([
      [p.decodeU64, 8],
      [p.decodeVringState, 8],
      [p.decodeVringFd, 8],
      [p.decodeVringAddress, 40],
      [p.decodeMemoryTable, 8],
    ]);
    for (const decode of decoders) {
      for (let size = 0; size < 60; size++) {
        if (size === right.get(decode)) continue;
        expect(() => decode(Buffer.alloc(size), 'SET_SOMETHING')).toThrow(/^SET_SOMETHING: payload of \d+ bytes/);
      }
    }
    expect(() => p.expectEmpty(Buffer.alloc(1), 'SET_OWNER')).toThrow('SET_OWNER: payload of 1 bytes, expected 0');
  });

  it('with a memory table of another length than it says are refused', () => {
    const payload = p.encodeMemoryTable([{ guestAddress: 0n, size: 1n, userAddress: 0n, mmapOffset: 0n }]);
    payload.writeUInt32LE(2, 0);
    expect(() => p.decodeMemoryTable(payload, 'SET_MEM_TABLE')).toThrow(/40 bytes, expected 72/);
    payload.writeUInt32LE(9, 0);
    expect(() => p.decodeMemoryTable(payload, 'SET_MEM_TABLE')).toThrow(/9 regions/);
    payload.writeUInt32LE(0xffffffff, 0);
    expect(() => p.decodeMemoryTable(payload, 'SET_MEM_TABLE')).toThrow(/4294967295 regions/);
  });
});

describe('vhost-user headers', () => {
  it('come back as they were encoded', () => {
    fc.assert(
      fc.property(u32, fc.nat(0x3fffffff), fc.nat(p.MAX_PAYLOAD_BYTES), (request, flags, size) => {
        const header = { request, flags: flags * 4 + p.PROTOCOL_VERSION, size };
        const bytes = Buffer.alloc(p.HEADER_BYTES);
        p.encodeHeader(bytes, header);
        expect(p.decodeHeader(bytes)).toEqual(header);
      }),
    );
  });

  it('of any other bytes are decoded or refused with a ProtocolError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 12, maxLength: 12 }), (bytes) => {
        try {
          const header = p.decodeHeader(Buffer.from(bytes));
          expect(header.flags & 3).toBe(1);
          expect(header.size).toBeLessThanOrEqual(p.MAX_PAYLOAD_BYTES);
        } catch (error) {
          expect(error).toBeInstanceOf(p.ProtocolError);
        }
      }),
    );
  });

  it('name the request and its fault', () => {
    const bytes = Buffer.alloc(p.HEADER_BYTES);
    p.encodeHeader(bytes, { request: 5, flags: 2, size: 0 });
    expect(() => p.decodeHeader(bytes)).toThrow('SET_MEM_TABLE: vhost-user version 2, expected 1');
    p.encodeHeader(bytes, { request: 99, flags: 1, size: 5000 });
    expect(() => p.decodeHeader(bytes)).toThrow(/^request 99: payload of 5000 bytes/);
  });
});
