/** TCP frames with headers of any length, as tests of the driver's queues want them, and their pieces. */
import { bytesOf, headersOf, tcpStart } from './tcp-frames.js';

export interface FrameFields {
  readonly ip?: 4 | 6;
  readonly vlan?: boolean;
  /** Bytes of options of IPv4 and of TCP: multiples of four. */
  readonly ipOptions?: number;
  readonly tcpOptions?: number;
  /** An IPv6 extension header of eight bytes. */
  readonly extension?: boolean;
  /** IP protocol; TCP by default. */
  readonly protocol?: number;
  /** Fragment offset of IPv4, in units of eight bytes. */
  readonly fragment?: number;
  readonly seed?: number;
}

export interface Frame {
  readonly bytes: Uint8Array;
  /** Where the TCP header begins, and where it ends. */
  readonly transport: number;
  readonly headers: number;
}

/** A frame with `payload` bytes behind the TCP header, each depending on its place and on `seed`. */
export function tcpFrame(payload: number, fields: FrameFields = {}): Frame {
  const { ip = 4, vlan = false, tcpOptions = 0, protocol = 6, fragment = 0, seed = 1 } = fields;
  const description = {
    version: ip,
    tags: vlan ? [5] : [],
    ipOptions: fields.extension ? 8 : (fields.ipOptions ?? 0),
    tcpOptions,
    payload: Array.from({ length: payload }, (_, i) => (seed * 31 + i * 7 + (i >> 8)) & 255),
  };
  const bytes = Uint8Array.from(bytesOf(description, 'partial'));
  const network = vlan ? 18 : 14;
  if (ip === 4) bytes.set([fragment >> 8, fragment & 255, 64, protocol], network + 6);
  else bytes[network + (fields.extension ? 40 : 6)] = protocol;
  return { bytes, transport: tcpStart(description), headers: headersOf(description) };
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
