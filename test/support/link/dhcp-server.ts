/**
 * DHCP messages of a scripted server, built byte by byte from RFC 2131 and 2132 and not with the code under test; and
 * what it reads of a client's message.
 */
import { BROADCAST, ethernet, ipv4, OUR_MAC, PEER_MAC, udp } from './frames.js';

export const SERVER_IP = '10.0.0.9';

const octets = (ip: string): number[] => ip.split('.').map(Number);
const seconds = (value: number): number[] => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];

export const DISCOVER = 1;
export const OFFER = 2;
export const REQUEST = 3;
export const DECLINE = 4;
export const ACK = 5;
export const NAK = 6;
export const RELEASE = 7;

/** A message of a client, as a server reads it. */
export interface FromClient {
  type: number;
  xid: number[];
  secs: number;
  ciaddr: string;
  options: Map<number, number[]>;
}

/** Reads the payload of a datagram. */
export function readClient(payload: Uint8Array): FromClient {
  const options = new Map<number, number[]>();
  for (let at = 240; payload[at] !== 255; at += 2 + payload[at + 1]!) {
    options.set(payload[at]!, [...payload.slice(at + 2, at + 2 + payload[at + 1]!)]);
  }
  return {
    ...{ type: options.get(53)![0]!, xid: [...payload.slice(4, 8)], options },
    ...{ secs: payload[8]! * 256 + payload[9]!, ciaddr: payload.slice(12, 16).join('.') },
  };
}

export interface Answer {
  type: number;
  xid: number[];
  address?: string;
  server?: string;
  mask?: string | null;
  lease?: number | null;
  /** More options: code -> bytes. */
  more?: Record<number, number[]>;
  mac?: number[];
  /** Bytes of the fields `sname` and `file`, for option overload. */
  sname?: number[];
  file?: number[];
  /** Replaces the options after the magic cookie. */
  options?: number[];
}

const fill = (bytes: number[], length: number): number[] => [...bytes, ...new Array(length - bytes.length).fill(0)];
export const option = (code: number, value: number[]): number[] => [code, value.length, ...value];

/** Makes the payload of a server's datagram. */
export function answer(fields: Answer): Uint8Array {
  const { type, xid, address = '10.0.0.57', server = SERVER_IP, mask = '255.255.255.0', lease = 3600 } = fields;
  const { more = {}, mac = OUR_MAC, sname = [], file = [] } = fields;
  const options = [
    ...option(53, [type]),
    ...option(54, octets(server)),
    ...(mask === null ? [] : option(1, octets(mask))),
    ...(lease === null ? [] : option(51, seconds(lease))),
    ...Object.entries(more).flatMap(([code, value]) => option(Number(code), value)),
    255,
  ];
  return Uint8Array.from([
    ...[2, 1, 6, 0, ...xid, 0, 0, 0, 0],
    ...[0, 0, 0, 0, ...octets(address), 0, 0, 0, 0, 0, 0, 0, 0],
    ...[...fill(mac, 16), ...fill(sname, 64), ...fill(file, 128)],
    ...[99, 130, 83, 99, ...(fields.options ?? options)],
  ]);
}

/** The frame of a server's datagram to the offered address, or to everybody. */
export function serverFrame(payload: Uint8Array, destination = '10.0.0.57', source = SERVER_IP): Uint8Array {
  const datagram = udp([...payload], 67, 68, source, destination);
  const mac = destination === '255.255.255.255' ? BROADCAST : OUR_MAC;
  return ethernet(ipv4(datagram, { source, destination, protocol: 17 }), { source: PEER_MAC, destination: mac });
}

/** The payload of a client's frame; null when the frame is none. */
export function clientPayload(frame: Uint8Array): Uint8Array | null {
  const isDhcp = frame[12] === 8 && frame[13] === 0 && frame[23] === 17 && frame[34] === 0 && frame[35] === 68;
  return isDhcp && frame[37] === 67 ? frame.slice(42) : null;
}
