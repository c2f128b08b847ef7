/**
 * The messages of DHCP as they lie in a UDP datagram (RFC 2131, 2; options of RFC 2132). What comes from a server is
 * hostile: every length is checked before anything is read, and a message with an impossible option is refused whole.
 */
import { readI32, readU16, writeI32, writeU16 } from '../../wire/bytes.js';

export const DHCP_SERVER_PORT = 67;
export const DHCP_CLIENT_PORT = 68;

/** Option 53 (RFC 2132, 9.6). */
export const DhcpType = { DISCOVER: 1, OFFER: 2, REQUEST: 3, DECLINE: 4, ACK: 5, NAK: 6, RELEASE: 7 } as const;

/** A lease time that never ends (RFC 2131, 3.3). */
const FOREVER = 0xffff_ffff;

// Fields of the fixed part (RFC 2131, figure 1), and what an Ethernet station writes there.
const OP = 0;
const HARDWARE_TYPE = 1;
const HARDWARE_LENGTH = 2;
const XID = 4;
const SECS = 8;
const CLIENT_ADDRESS = 12;
const YOUR_ADDRESS = 16;
const CLIENT_MAC = 28;
const SERVER_NAME = 44;
const BOOT_FILE = 108;
const MAGIC = 236;
const OPTIONS = 240;
const BOOT_REQUEST = 1;
const BOOT_REPLY = 2;
const ETHERNET = 1;
const MAC_BYTES = 6;
/** 99.130.83.99 (RFC 2131, 3). */
const MAGIC_COOKIE = 0x6382_5363;
/** Relay agents of BOOTP may drop shorter messages (RFC 951). */
const SHORTEST = 300;
const MOST_SECS = 0xffff;

// Options (RFC 2132).
const PAD = 0;
const MASK = 1;
const ROUTER = 3;
const DNS = 6;
const HOST_NAME = 12;
const DOMAIN = 15;
const MTU = 26;
const BROADCAST = 28;
const REQUESTED_ADDRESS = 50;
const LEASE_TIME = 51;
const OVERLOAD = 52;
const TYPE = 53;
const SERVER = 54;
const PARAMETERS = 55;
const TEXT = 56;
const T1 = 58;
const T2 = 59;
const CLIENT_IDENTIFIER = 61;
const END = 255;

const WANTED = [MASK, ROUTER, DNS, DOMAIN, MTU, BROADCAST, LEASE_TIME, SERVER, T1, T2];
/** More servers than these are of no use. */
const MAX_SERVERS = 8;
const MAX_HOST_NAME = 63;

/** A message of ours. Addresses are numbers, signed or unsigned. */
export interface ClientMessage {
  readonly type: number;
  readonly xid: number;
  /** Seconds since we began to ask. */
  readonly secs: number;
  /** Six bytes. */
  readonly mac: Uint8Array;
  /** Our address, if it is ours already (`ciaddr`). */
  readonly clientAddress?: number;
  readonly requested?: number;
  readonly server?: number;
  /** Our name for the server. One that is no name of a host is left out. */
  readonly hostName?: string;
}

/** What a server has sent to us. Addresses are signed; 0 stands for an option that is not there. */
export interface ServerMessage {
  readonly type: number;
  /** The address that we may have (`yiaddr`). */
  readonly address: number;
  readonly server: number;
  /** Length of the prefix; -1 when there is no mask. */
  readonly prefixLength: number;
  readonly routers: readonly number[];
  readonly dns: readonly number[];
  readonly domain: string;
  readonly mtu: number;
  /** Seconds; Infinity: for ever. */
  readonly lease: number;
  readonly t1: number;
  readonly t2: number;
  /** What the server says to people, such as the reason for a NAK. */
  readonly text: string;
}

/** Makes the payload of a datagram. */
export function encodeMessage(message: ClientMessage): Uint8Array {
  const { type, xid, secs, mac, clientAddress = 0, requested, server, hostName = '' } = message;
  const bytes = new Uint8Array(OPTIONS + SHORTEST);
  bytes[OP] = BOOT_REQUEST;
  bytes[HARDWARE_TYPE] = ETHERNET;
  bytes[HARDWARE_LENGTH] = MAC_BYTES;
  writeI32(bytes, XID, xid);
  writeU16(bytes, SECS, Math.max(0, Math.min(MOST_SECS, Math.floor(secs))));
  writeI32(bytes, CLIENT_ADDRESS, clientAddress);
  bytes.set(mac, CLIENT_MAC);
  writeI32(bytes, MAGIC, MAGIC_COOKIE);
  let at = OPTIONS;
  const add = (code: number, value: ArrayLike<number>): void => {
    bytes[at] = code;
    bytes[at + 1] = value.length;
    bytes.set(value, at + 2);
    at += 2 + value.length;
  };
  add(TYPE, [type]);
  add(CLIENT_IDENTIFIER, [ETHERNET, ...mac]);
  if (requested !== undefined) add(REQUESTED_ADDRESS, addressBytes(requested));
  if (server !== undefined) add(SERVER, addressBytes(server));
  // RFC 2131, table 5: what gives an address back or refuses it asks for nothing.
  if (type === DhcpType.DISCOVER || type === DhcpType.REQUEST) {
    if (isHostName(hostName)) add(HOST_NAME, Buffer.from(hostName, 'latin1'));
    add(PARAMETERS, WANTED);
  }
  bytes[at++] = END;
  return bytes.subarray(0, Math.max(at, SHORTEST));
}

/** Whether `length` bytes at `at` are an answer to `xid` and to us, as far as the fixed part tells. */
export function isAnswer(u8: Uint8Array, at: number, length: number, xid: number, mac: Uint8Array): boolean {
  if (length < OPTIONS || u8[at + OP] !== BOOT_REPLY || readI32(u8, at + MAGIC) !== (MAGIC_COOKIE | 0)) return false;
  if (u8[at + HARDWARE_TYPE] !== ETHERNET || u8[at + HARDWARE_LENGTH] !== MAC_BYTES) return false;
  if (readI32(u8, at + XID) !== (xid | 0)) return false;
  for (let i = 0; i < MAC_BYTES; i++) if (u8[at + CLIENT_MAC + i] !== mac[i]) return false;
  return true;
}

/**
 * Reads a message for which {@link isAnswer} holds.
 * @returns null when an option does not fit, or the message has no type
 */
export function decodeMessage(u8: Uint8Array, at: number, length: number): ServerMessage | null {
  const options = new Map<number, number[]>();
  if (!collect(options, u8, at + OPTIONS, at + length)) return null;
  const overload = options.get(OVERLOAD)?.[0] ?? 0;
  // RFC 2131, 4.1: the file comes first.
  if ((overload & 1) !== 0 && !collect(options, u8, at + BOOT_FILE, at + MAGIC)) return null;
  if ((overload & 2) !== 0 && !collect(options, u8, at + SERVER_NAME, at + BOOT_FILE)) return null;
  for (const [code, value] of options) if (!hasGoodLength(code, value.length)) return null;
  const mask = firstWord(options.get(MASK));
  const prefixLength = mask === undefined ? -1 : prefixOf(mask);
  const type = options.get(TYPE)?.[0] ?? 0;
  if (type === 0 || (mask !== undefined && prefixLength < 0)) return null;
  const seconds = (code: number): number => (firstWord(options.get(code)) ?? 0) >>> 0;
  const lease = seconds(LEASE_TIME);
  return {
    ...{ type, prefixLength, address: readI32(u8, at + YOUR_ADDRESS), server: firstWord(options.get(SERVER)) ?? 0 },
    routers: words(options.get(ROUTER)),
    dns: words(options.get(DNS)),
    domain: text(options.get(DOMAIN)),
    mtu: readU16(Uint8Array.from(options.get(MTU) ?? [0, 0]), 0),
    lease: lease === FOREVER ? Number.POSITIVE_INFINITY : lease,
    ...{ t1: seconds(T1), t2: seconds(T2), text: text(options.get(TEXT)) },
  };
}

/**
 * Adds the options between two places. Parts of one option are put together (RFC 3396).
 * @returns false when an option does not end before `end`
 */
function collect(options: Map<number, number[]>, u8: Uint8Array, from: number, end: number): boolean {
  for (let at = from; at < end; ) {
    const code = u8[at]!;
    if (code === END) return true;
    if (code === PAD) {
      at++;
      continue;
    }
    const next = at + 1 < end ? at + 2 + u8[at + 1]! : end + 1;
    if (next > end) return false;
    const value = [...u8.subarray(at + 2, next)];
    options.set(code, [...(options.get(code) ?? []), ...value]);
    at = next;
  }
  return true;
}

/** Whether an option that we read can have so many bytes. */
function hasGoodLength(code: number, length: number): boolean {
  switch (code) {
    case TYPE:
    case OVERLOAD:
      return length === 1;
    case MTU:
      return length === 2;
    case MASK:
    case SERVER:
    case LEASE_TIME:
    case T1:
    case T2:
      return length === 4;
    case ROUTER:
    case DNS:
      return length > 0 && length % 4 === 0;
    default:
      return true;
  }
}

function firstWord(value: readonly number[] | undefined): number | undefined {
  return value === undefined ? undefined : readI32(Uint8Array.from(value), 0);
}

function words(value: readonly number[] = []): number[] {
  const bytes = Uint8Array.from(value);
  return Array.from({ length: Math.min(MAX_SERVERS, bytes.length >>> 2) }, (_, i) => readI32(bytes, 4 * i));
}

/** Printable ASCII only: it goes to terminals. */
function text(value: readonly number[] = []): string {
  const printable = value.filter((byte) => byte >= 0x20 && byte < 0x7f);
  return String.fromCharCode(...printable).trim();
}

/** Length of the prefix of a mask; -1 when its ones do not come first. */
function prefixOf(mask: number): number {
  const prefixLength = Math.clz32(~mask);
  return (prefixLength === 0 ? 0 : -1 << (32 - prefixLength)) === mask ? prefixLength : -1;
}

function addressBytes(address: number): Uint8Array {
  return Uint8Array.of(address >>> 24, address >>> 16, address >>> 8, address);
}

function isHostName(name: string): boolean {
  return name.length <= MAX_HOST_NAME && /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(name);
}
