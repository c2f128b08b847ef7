/** TCP frames for tests of offloads, with headers of any length; built byte by byte, with no checksum that is right. */

export interface TcpFrameFields {
  readonly ip?: 4 | 6;
  readonly vlan?: boolean;
  /** Bytes of options of IPv4 and of TCP: multiples of four. */
  readonly ipOptions?: number;
  readonly tcpOptions?: number;
  /** An IPv6 extension header (destination options) of eight bytes. */
  readonly extension?: boolean;
  /** IP protocol; TCP by default. */
  readonly protocol?: number;
  /** Flags and fragment offset of IPv4. */
  readonly fragment?: number;
  readonly seed?: number;
}

export interface TcpFrame {
  readonly bytes: Uint8Array;
  /** Where the TCP header begins, and where it ends. */
  readonly transport: number;
  readonly headers: number;
}

/** A frame with `payload` bytes behind the TCP header, each depending on its place and on `seed`. */
export function tcpFrame(payload: number, fields: TcpFrameFields = {}): TcpFrame {
  const { ip = 4, vlan = false, ipOptions = 0, tcpOptions = 0, protocol = 6, fragment = 0, seed = 1 } = fields;
  const bytes = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
  if (vlan) bytes.push(0x81, 0, 0, 5);
  if (ip === 4) {
    bytes.push(8, 0, 0x45 + ipOptions / 4, 0, 0, 0, 0, 0, fragment >> 8, fragment & 255, 64, protocol, 0, 0);
    bytes.push(10, 0, 0, 1, 10, 0, 0, 2, ...new Array<number>(ipOptions).fill(1));
  } else {
    const next = fields.extension ? 60 : protocol;
    bytes.push(0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, next, 64, ...new Array<number>(32).fill(0xfd));
    if (fields.extension) bytes.push(protocol, 0, 1, 4, 0, 0, 0, 0);
  }
  const transport = bytes.length;
  bytes.push(0, 80, 0, 81, 0, 0, 0, 1, 0, 0, 0, 2, (5 + tcpOptions / 4) << 4, 0x18, 1, 0, 0, 0, 0, 0);
  bytes.push(...new Array<number>(tcpOptions).fill(1));
  const headers = bytes.length;
  for (let i = 0; i < payload; i++) bytes.push((seed * 31 + i * 7 + (i >> 8)) & 255);
  return { bytes: Uint8Array.from(bytes), transport, headers };
}

/** Cuts bytes into pieces of these lengths; the last piece has what is left. */
export function cut(bytes: Uint8Array, ...lengths: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const length of lengths) {
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return at < bytes.length ? [...pieces, bytes.subarray(at)] : pieces;
}

/** Cuts bytes into pieces of at most `length` bytes, the first of at most `first`. */
export function cutEvery(bytes: Uint8Array, first: number, length: number): Uint8Array[] {
  const pieces = [bytes.subarray(0, first)];
  for (let at = first; at < bytes.length; at += length) pieces.push(bytes.subarray(at, at + length));
  return pieces;
}
