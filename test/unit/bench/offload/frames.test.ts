import { describe, expect, it } from 'vitest';
import {
  GSO_FRAME_BYTES,
  HEADER_BYTES,
  patternAt,
  pcapOf,
  SEGMENT_BYTES,
  TCP_AT,
  tcpFrame,
} from '../../../../bench/offload/frames.js';
import { writeU16 } from '../../../../src/wire/bytes.js';
import { finishSum, partialSum } from '../../../../src/wire/checksum.js';
import { ETH_HEADER_BYTES } from '../../../../src/wire/ethernet.js';
import { isIpv4Intact } from '../../../../src/wire/ipv4.js';
import { wireMemory } from '../../../../src/wire/memory.js';
import { isTcpIntact, TCP_CHECKSUM, tcpHeaderLength } from '../../../../src/wire/tcp.js';

describe('the frames of bench -- offload', () => {
  it('have a partial checksum, which becomes right when the sum is added', () => {
    const frame = tcpFrame(1000);
    const memory = wireMemory(frame);
    const tcp = [ETH_HEADER_BYTES, TCP_AT, frame.length - TCP_AT] as const;
    expect(isIpv4Intact(memory, ETH_HEADER_BYTES, frame.length - ETH_HEADER_BYTES)).toBe(true);
    expect(isTcpIntact(memory, ...tcp)).toBe(false);
    writeU16(frame, TCP_AT + TCP_CHECKSUM, finishSum(partialSum(memory, TCP_AT, frame.length - TCP_AT)));
    expect(isTcpIntact(memory, ...tcp)).toBe(true);
  });

  it('are whole segments, as long as an IP packet may be', () => {
    const frame = tcpFrame(GSO_FRAME_BYTES);
    expect(TCP_AT + tcpHeaderLength(frame, TCP_AT)).toBe(HEADER_BYTES);
    expect((frame.length - HEADER_BYTES) % SEGMENT_BYTES).toBe(0);
    expect(frame.length - ETH_HEADER_BYTES).toBeLessThan(65_536);
    expect([HEADER_BYTES, 5000, GSO_FRAME_BYTES - 1].every((place) => frame[place] === patternAt(place))).toBe(true);
  });

  it('go into a pcap file', () => {
    const frame = tcpFrame(100);
    const file = Buffer.from(pcapOf(frame, 3));
    expect(file.length).toBe(24 + 3 * (16 + 100));
    expect(file.readUInt32LE(0)).toBe(0xa1b2c3d4);
    const second = 24 + 116;
    expect([file.readUInt32LE(second + 8), file.readUInt32LE(second + 12)]).toEqual([100, 100]);
    expect(file.subarray(second + 16, second + 116)).toEqual(Buffer.from(frame));
  });
});
