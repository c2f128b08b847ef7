/** The virtio-net header (virtio 1.2, 5.1.6), written and read field by field. */

export interface NetHeader {
  flags: number;
  gsoType: number;
  hdrLen: number;
  gsoSize: number;
  csumStart: number;
  csumOffset: number;
  buffers: number;
}

const NONE: NetHeader = { flags: 0, gsoType: 0, hdrLen: 0, gsoSize: 0, csumStart: 0, csumOffset: 0, buffers: 0 };

/** The 12 bytes of a header. Fields that are not given are 0. */
export function netHeader(fields: Partial<NetHeader>): number[] {
  const all = { ...NONE, ...fields };
  const halves = [all.hdrLen, all.gsoSize, all.csumStart, all.csumOffset, all.buffers];
  return [all.flags, all.gsoType, ...halves.flatMap((half) => [half & 0xff, half >>> 8])];
}

/** The fields of a header of 12 or 10 bytes. */
export function readNetHeader(bytes: readonly number[]): NetHeader {
  const half = (at: number): number => (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
  return {
    flags: bytes[0]!,
    gsoType: bytes[1]!,
    hdrLen: half(2),
    gsoSize: half(4),
    csumStart: half(6),
    csumOffset: half(8),
    buffers: half(10),
  };
}
