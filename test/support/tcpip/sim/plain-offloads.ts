/**
 * What a network card does with checksums and segments, byte by byte and written from virtio 1.2 (5.1.6.2), RFC 1071 and
 * RFC 9293 alone: a slow implementation to compare others with. Frames are Ethernet with IPv4.
 */

/** Where things are in a frame with an IPv4 header of 20 bytes. */
const IP = 14;
const TRANSPORT = 34;
const FIN_PSH = 0x09;
const CWR = 0x80;

const u16 = (frame: Uint8Array, at: number): number => (frame[at]! << 8) | frame[at + 1]!;
const u32 = (frame: Uint8Array, at: number): number => (u16(frame, at) << 16) | u16(frame, at + 2);

function put16(frame: Uint8Array, at: number, value: number): void {
  frame[at] = value >>> 8;
  frame[at + 1] = value;
}

function put32(frame: Uint8Array, at: number, value: number): void {
  put16(frame, at, value >>> 16);
  put16(frame, at + 2, value);
}

/** The ones' complement sum of the bytes from `from` to `end`, folded. */
function sumOf(frame: Uint8Array, from: number, end: number, initial = 0): number {
  let sum = initial;
  for (let i = from; i < end; i++) sum += (i - from) % 2 === 0 ? frame[i]! << 8 : frame[i]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/** The sum of the pseudo header. */
function pseudoSum(frame: Uint8Array, length: number): number {
  return sumOf(frame, IP + 12, IP + 20, frame[IP + 9]! + length);
}

/** Bytes of the IP packet, as its header says. */
export const packetLength = (frame: Uint8Array): number => u16(frame, IP + 2);

/** Completes a partial checksum: `start` from the beginning of the frame, `field` from there. */
export function completeChecksum(frame: Uint8Array, length: number, start: number, field: number): void {
  put16(frame, start + field, ~sumOf(frame, start, length) & 0xffff);
}

function writeIpChecksum(frame: Uint8Array): void {
  put16(frame, IP + 10, 0);
  put16(frame, IP + 10, ~sumOf(frame, IP, TRANSPORT) & 0xffff);
}

/** Whether a frame is TCP over IPv4 without IP options, no fragment, and whole. */
export function isPlainTcp(frame: Uint8Array, length: number): boolean {
  if (length < TRANSPORT + 20 || u16(frame, 12) !== 0x0800 || frame[IP] !== 0x45 || frame[IP + 9] !== 6) return false;
  const total = packetLength(frame);
  if ((u16(frame, IP + 6) & 0x3fff) !== 0 || IP + total > length) return false;
  const header = (frame[TRANSPORT + 12]! >>> 4) * 4;
  return header >= 20 && 20 + header <= total && sumOf(frame, IP, TRANSPORT) === 0xffff;
}

/** Whether the checksum of a frame for which {@link isPlainTcp} is true is right. */
export function hasGoodChecksum(frame: Uint8Array): boolean {
  const end = IP + packetLength(frame);
  return sumOf(frame, TRANSPORT, end, pseudoSum(frame, end - TRANSPORT)) === 0xffff;
}

/** Bytes of the headers of a TCP frame, Ethernet included. */
export function headersOf(frame: Uint8Array): number {
  return TRANSPORT + (frame[TRANSPORT + 12]! >>> 4) * 4;
}

/**
 * Cuts a GSO packet into frames.
 * @param length bytes of the frame
 * @param size bytes of payload in each segment
 */
export function cutFrame(frame: Uint8Array, length: number, size: number): Uint8Array[] {
  const headers = headersOf(frame);
  const flags = frame[TRANSPORT + 13]!;
  const frames: Uint8Array[] = [];
  for (let at = headers; at < length; at += size) {
    const bytes = Math.min(size, length - at);
    const isLast = at + bytes === length;
    const made = new Uint8Array(headers + bytes);
    made.set(frame.subarray(0, headers));
    made.set(frame.subarray(at, at + bytes), headers);
    put16(made, IP + 2, headers - IP + bytes);
    put16(made, IP + 4, u16(frame, IP + 4) + frames.length);
    put32(made, TRANSPORT + 4, (u32(frame, TRANSPORT + 4) + at - headers) | 0);
    made[TRANSPORT + 13] = flags & (isLast ? 0xff : ~FIN_PSH) & (at === headers ? 0xff : ~CWR);
    writeIpChecksum(made);
    put16(made, TRANSPORT + 16, pseudoSum(made, made.length - TRANSPORT));
    completeChecksum(made, made.length, TRANSPORT, 16);
    frames.push(made);
  }
  return frames;
}

/**
 * Whether the data of `next` go on where those of `frame` end, so that both can be one GSO packet (as Linux's GRO
 * decides). Both are TCP frames with a good checksum.
 * @param size bytes of payload in the segments of `frame`
 */
export function mayMerge(frame: Uint8Array, size: number, next: Uint8Array): boolean {
  const headers = headersOf(frame);
  const payload = IP + packetLength(frame) - headers;
  const more = IP + packetLength(next) - headersOf(next);
  if (headersOf(next) !== headers || payload === 0 || payload % size !== 0 || more === 0 || more > size) return false;
  if (packetLength(frame) + more > 0xffff) return false;
  // All flags but ACK and PSH end a packet, and nothing goes on behind PSH.
  if (frame[TRANSPORT + 13] !== 0x10 || (next[TRANSPORT + 13]! & ~FIN_PSH) !== 0x10) return false;
  for (let i = IP; i < headers; i++) {
    const isOwn =
      (i >= IP + 2 && i < IP + 6) ||
      (i >= IP + 10 && i < IP + 12) ||
      (i >= TRANSPORT + 4 && i < TRANSPORT + 8) ||
      i === TRANSPORT + 13 ||
      (i >= TRANSPORT + 16 && i < TRANSPORT + 18);
    if (!isOwn && frame[i] !== next[i]) return false;
  }
  return ((u32(frame, TRANSPORT + 4) + payload) | 0) === u32(next, TRANSPORT + 4);
}

/** Makes the headers those of a packet with `more` bytes behind its data, which end with `flags`; the sum is partial. */
export function growHeaders(frame: Uint8Array, more: number, flags: number): void {
  const total = packetLength(frame) + more;
  put16(frame, IP + 2, total);
  frame[TRANSPORT + 13]! |= flags;
  writeIpChecksum(frame);
  put16(frame, TRANSPORT + 16, pseudoSum(frame, total - 20));
}

/** The flags of a TCP frame. */
export const flagsOf = (frame: Uint8Array): number => frame[TRANSPORT + 13]!;
