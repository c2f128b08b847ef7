/**
 * vhost-user messages: ids, flags, protocol features, and the payloads that this project sends or understands.
 *
 * Source: QEMU, docs/interop/vhost-user.rst ("Message Specification", "Front-end message types"). All numbers are in
 * the machine's byte order, which is little-endian (drivers/libc checks that). 64-bit fields are bigints, because a
 * peer may put any value there. All this happens only while a device is set up.
 */

export const VhostUserRequest = {
  GET_FEATURES: 1,
  SET_FEATURES: 2,
  SET_OWNER: 3,
  RESET_OWNER: 4,
  SET_MEM_TABLE: 5,
  SET_LOG_BASE: 6,
  SET_LOG_FD: 7,
  SET_VRING_NUM: 8,
  SET_VRING_ADDR: 9,
  SET_VRING_BASE: 10,
  GET_VRING_BASE: 11,
  SET_VRING_KICK: 12,
  SET_VRING_CALL: 13,
  SET_VRING_ERR: 14,
  GET_PROTOCOL_FEATURES: 15,
  SET_PROTOCOL_FEATURES: 16,
  GET_QUEUE_NUM: 17,
  SET_VRING_ENABLE: 18,
  SEND_RARP: 19,
  NET_SET_MTU: 20,
  SET_BACKEND_REQ_FD: 21,
  IOTLB_MSG: 22,
  SET_VRING_ENDIAN: 23,
  GET_CONFIG: 24,
  SET_CONFIG: 25,
  GET_INFLIGHT_FD: 31,
  SET_INFLIGHT_FD: 32,
  RESET_DEVICE: 34,
  SET_STATUS: 39,
  GET_STATUS: 40,
} as const;

const requestNames = new Map<number, string>(Object.entries(VhostUserRequest).map(([name, id]) => [id, name]));

/** The name of a request: `SET_MEM_TABLE` for 5, or `request 99` for an unknown id. */
export function requestName(id: number): string {
  return requestNames.get(id) ?? `request ${id}`;
}

export const PROTOCOL_VERSION = 1;
const FLAG_VERSION_MASK = 0x3;
export const FLAG_REPLY = 1 << 2;
export const FLAG_NEED_REPLY = 1 << 3;

export const PROTOCOL_F_MQ = 1n << 0n;
export const PROTOCOL_F_REPLY_ACK = 1n << 3n;
export const PROTOCOL_F_MTU = 1n << 4n;
export const PROTOCOL_F_CONFIG = 1n << 9n;
export const PROTOCOL_F_RESET_DEVICE = 1n << 13n;
export const PROTOCOL_F_STATUS = 1n << 16n;

/** In the payload of SET_VRING_KICK, _CALL and _ERR: the message has no file descriptor, the ring is polled. */
const VRING_NOFD = 1n << 8n;
const VRING_INDEX_MASK = 0xffn;

/** Largest number of regions in the memory table. */
const MAX_MEMORY_REGIONS = 8;

export const HEADER_BYTES = 12;
/** Longer than any payload that is understood here. A longer message is not vhost-user. */
export const MAX_PAYLOAD_BYTES = 4096;

const VRING_ADDRESS_BYTES = 40;
const MEMORY_TABLE_HEAD_BYTES = 8;
const MEMORY_REGION_BYTES = 32;

/** The peer broke the protocol. The error message is one line that names the request and what was found. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

export interface MessageHeader {
  request: number;
  flags: number;
  /** Bytes of payload that follow the header. */
  size: number;
}

/** A ring index, and a number whose meaning depends on the request (size, base, or 1 and 0 to enable and disable). */
interface VringState {
  index: number;
  num: number;
}

/** The addresses of the parts of a ring in the peer's process. */
export interface VringAddress {
  index: number;
  flags: number;
  descriptor: bigint;
  used: bigint;
  available: bigint;
  log: bigint;
}

export interface MemoryRegion {
  guestAddress: bigint;
  size: bigint;
  userAddress: bigint;
  /** Where the region begins in its file, in bytes. */
  mmapOffset: bigint;
}

/** Writes a header into the first {@link HEADER_BYTES} of `into`. */
export function encodeHeader(into: Buffer, header: MessageHeader): void {
  into.writeUInt32LE(header.request, 0);
  into.writeUInt32LE(header.flags, 4);
  into.writeUInt32LE(header.size, 8);
}

/** Reads a header. Throws a {@link ProtocolError} for another version of the protocol, or an impossible size. */
export function decodeHeader(bytes: Buffer): MessageHeader {
  const header = { request: bytes.readUInt32LE(0), flags: bytes.readUInt32LE(4), size: bytes.readUInt32LE(8) };
  const version = header.flags & FLAG_VERSION_MASK;
  if (version !== PROTOCOL_VERSION) {
    throw new ProtocolError(
      `${requestName(header.request)}: vhost-user version ${version}, expected ${PROTOCOL_VERSION}`,
    );
  }
  if (header.size > MAX_PAYLOAD_BYTES) {
    throw new ProtocolError(
      `${requestName(header.request)}: payload of ${header.size} bytes; at most ${MAX_PAYLOAD_BYTES} are possible`,
    );
  }
  return header;
}

function expectSize(payload: Buffer, size: number, what: string): void {
  if (payload.length !== size) {
    throw new ProtocolError(`${what}: payload of ${payload.length} bytes, expected ${size}`);
  }
}

/** Throws unless the payload is empty. `what` names the request in the error, here and in all decoders. */
export function expectEmpty(payload: Buffer, what: string): void {
  expectSize(payload, 0, what);
}

export function encodeU64(value: bigint): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeBigUInt64LE(value);
  return payload;
}

export function decodeU64(payload: Buffer, what: string): bigint {
  expectSize(payload, 8, what);
  return payload.readBigUInt64LE(0);
}

/** Writes the payload of SET_VRING_KICK, _CALL and _ERR. */
export function encodeVringFd(index: number, hasFd: boolean): Buffer {
  return encodeU64(BigInt(index) | (hasFd ? 0n : VRING_NOFD));
}

export function decodeVringFd(payload: Buffer, what: string): { index: number; hasFd: boolean } {
  const value = decodeU64(payload, what);
  return { index: Number(value & VRING_INDEX_MASK), hasFd: (value & VRING_NOFD) === 0n };
}

export function encodeVringState(state: VringState): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeUInt32LE(state.index, 0);
  payload.writeUInt32LE(state.num, 4);
  return payload;
}

export function decodeVringState(payload: Buffer, what: string): VringState {
  expectSize(payload, 8, what);
  return { index: payload.readUInt32LE(0), num: payload.readUInt32LE(4) };
}

export function encodeVringAddress(address: VringAddress): Buffer {
  const payload = Buffer.alloc(VRING_ADDRESS_BYTES);
  payload.writeUInt32LE(address.index, 0);
  payload.writeUInt32LE(address.flags, 4);
  payload.writeBigUInt64LE(address.descriptor, 8);
  payload.writeBigUInt64LE(address.used, 16);
  payload.writeBigUInt64LE(address.available, 24);
  payload.writeBigUInt64LE(address.log, 32);
  return payload;
}

export function decodeVringAddress(payload: Buffer, what: string): VringAddress {
  expectSize(payload, VRING_ADDRESS_BYTES, what);
  return {
    index: payload.readUInt32LE(0),
    flags: payload.readUInt32LE(4),
    descriptor: payload.readBigUInt64LE(8),
    used: payload.readBigUInt64LE(16),
    available: payload.readBigUInt64LE(24),
    log: payload.readBigUInt64LE(32),
  };
}

export function encodeMemoryTable(regions: readonly MemoryRegion[]): Buffer {
  const payload = Buffer.alloc(MEMORY_TABLE_HEAD_BYTES + regions.length * MEMORY_REGION_BYTES);
  payload.writeUInt32LE(regions.length, 0);
  regions.forEach((region, i) => {
    const at = MEMORY_TABLE_HEAD_BYTES + i * MEMORY_REGION_BYTES;
    payload.writeBigUInt64LE(region.guestAddress, at);
    payload.writeBigUInt64LE(region.size, at + 8);
    payload.writeBigUInt64LE(region.userAddress, at + 16);
    payload.writeBigUInt64LE(region.mmapOffset, at + 24);
  });
  return payload;
}

/** Reads a memory table of 0 to {@link MAX_MEMORY_REGIONS} regions. Only the format is checked here. */
export function decodeMemoryTable(payload: Buffer, what: string): MemoryRegion[] {
  if (payload.length < MEMORY_TABLE_HEAD_BYTES) {
    throw new ProtocolError(
      `${what}: payload of ${payload.length} bytes, expected at least ${MEMORY_TABLE_HEAD_BYTES}`,
    );
  }
  const count = payload.readUInt32LE(0);
  if (count > MAX_MEMORY_REGIONS) {
    throw new ProtocolError(`${what}: ${count} regions; a memory table has at most ${MAX_MEMORY_REGIONS}`);
  }
  expectSize(payload, MEMORY_TABLE_HEAD_BYTES + count * MEMORY_REGION_BYTES, what);
  const regions: MemoryRegion[] = [];
  for (let at = MEMORY_TABLE_HEAD_BYTES; at < payload.length; at += MEMORY_REGION_BYTES) {
    regions.push({
      guestAddress: payload.readBigUInt64LE(at),
      size: payload.readBigUInt64LE(at + 8),
      userAddress: payload.readBigUInt64LE(at + 16),
      mmapOffset: payload.readBigUInt64LE(at + 24),
    });
  }
  return regions;
}
