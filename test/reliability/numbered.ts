/**
 * The packets of the reliability tests: UDP datagrams of mixed sizes that say who sent them to whom, in which flow, as the
 * how many-eth, and whose other bytes follow from that. So whoever gets one can tell whether it is whole, meant for him, in
 * order and new.
 *
 * A request and its answer are the same bytes with addresses and ports exchanged: dpdk-testpmd's `5tswap` and `io` answer
 * and carry them, too.
 */
import { isPattern, seedOf, writePattern, xorshift32 } from '../../src/apps/pattern.js';
import { readI32, writeI32 } from '../../src/wire/bytes.js';

/** Where requests go, and answers come from. */
export const SERVICE_PORT = 7778;
/** Endpoints are numbered from 1 on; cores and flows from 0 on. All fit a byte. */
export const MAX_ENDPOINTS = 8;
export const MAX_CORES = 8;
/** Of a core with one other endpoint. */
export const MAX_FLOWS = 16;
export const HEAD_BYTES = 20;

const MAGIC = 0x7473706d;
const FROM = 4;
const TO = 5;
const CORE = 6;
const FLOW = 7;
const EPOCH = 8;
const SEQUENCE = 12;
const LENGTH = 16;
/** Half of the packets are small, as on real links. */
const SMALL_BYTES = 64;

/** Address of an endpoint, as a number. */
export const addressOf = (endpoint: number): number => 0x0a00_0000 + endpoint;
export const ipOf = (endpoint: number): string => `10.0.0.${endpoint}`;
export const macOf = (endpoint: number): string => `52:54:00:00:00:0${endpoint}`;

export const fromOf = (u8: Uint8Array, at: number): number => u8[at + FROM]!;
export const toOf = (u8: Uint8Array, at: number): number => u8[at + TO]!;
export const coreOf = (u8: Uint8Array, at: number): number => u8[at + CORE]!;
export const flowOf = (u8: Uint8Array, at: number): number => u8[at + FLOW]!;
export const epochOf = (u8: Uint8Array, at: number): number => readI32(u8, at + EPOCH);
export const sequenceOf = (u8: Uint8Array, at: number): number => readI32(u8, at + SEQUENCE);

/** Who sends to whom: what the packets of a flow have in common. */
export interface Flow {
  readonly from: number;
  readonly to: number;
  readonly core: number;
  readonly flow: number;
  /** Counts the lives of an endpoint. */
  readonly epoch: number;
}

/** Writes packet `sequence` of a flow, of a size up to `most`; returns its bytes. */
export function writeNumbered(u8: Uint8Array, at: number, flow: Flow, sequence: number, most: number): number {
  writeI32(u8, at, MAGIC);
  u8[at + FROM] = flow.from;
  u8[at + TO] = flow.to;
  u8[at + CORE] = flow.core;
  u8[at + FLOW] = flow.flow;
  writeI32(u8, at + EPOCH, flow.epoch);
  writeI32(u8, at + SEQUENCE, sequence);
  const dice = xorshift32(seedOf(sequence + flow.flow)) >>> 1;
  const limit = (dice & 1) === 0 ? Math.min(SMALL_BYTES, most) : most;
  const bytes = HEAD_BYTES + ((dice >>> 1) % (limit - HEAD_BYTES + 1));
  writeI32(u8, at + LENGTH, bytes);
  writePattern(u8, at + HEAD_BYTES, at + bytes, seedAt(u8, at));
  return bytes;
}

/** Whether the `bytes` at `at` are a packet that {@link writeNumbered} wrote. */
export function isNumbered(u8: Uint8Array, at: number, bytes: number): boolean {
  return (
    bytes >= HEAD_BYTES &&
    readI32(u8, at) === MAGIC &&
    readI32(u8, at + LENGTH) === bytes &&
    u8[at + FROM]! <= MAX_ENDPOINTS &&
    u8[at + CORE]! < MAX_CORES &&
    u8[at + FLOW]! < MAX_FLOWS &&
    isPattern(u8, at + HEAD_BYTES, at + bytes, seedAt(u8, at))
  );
}

/** All that the head says goes into the pattern. */
function seedAt(u8: Uint8Array, at: number): number {
  let seed = 1;
  for (let i = FROM; i < HEAD_BYTES; i += 4) seed = seedOf(seed ^ readI32(u8, at + i));
  return seed;
}
