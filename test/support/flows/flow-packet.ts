/**
 * The UDP datagrams between generator and reflector of the flow tests. They carry their flow, a sequence number within
 * it, an order for the core that gets them, and in the answer the core that sent it.
 */
import { readI32, writeI32 } from '../../../src/wire/bytes.js';

export const REFLECTOR_PORT = 7777;
/** Flow f has the source port FIRST_PORT + f. */
export const FIRST_PORT = 20_000;
export const MAX_FLOWS = 4096;
export const PAYLOAD_BYTES = 32;

/** Orders. A number above BLOCK means: stand still for that many milliseconds. */
export const NONE = 0;
export const THROW = 1;
export const KEEP = 2;
export const BLOCK = 1000;

const ORDER = 0;
const FLOW = 4;
const SEQUENCE = 8;
const CORE = 12;
const CHECK = 16;

const checkOf = (flow: number, sequence: number): number => Math.imul(flow * 65_537 + sequence, 0x9e3779b1) | 0;

export function writeFlow(u8: Uint8Array, at: number, order: number, flow: number, sequence: number): void {
  writeI32(u8, at + ORDER, order);
  writeI32(u8, at + FLOW, flow);
  writeI32(u8, at + SEQUENCE, sequence);
  writeI32(u8, at + CORE, -1);
  writeI32(u8, at + CHECK, checkOf(flow, sequence));
}

export const orderOf = (u8: Uint8Array, at: number): number => readI32(u8, at + ORDER);
export const flowOf = (u8: Uint8Array, at: number): number => readI32(u8, at + FLOW);
export const sequenceOf = (u8: Uint8Array, at: number): number => readI32(u8, at + SEQUENCE);
export const coreOf = (u8: Uint8Array, at: number): number => readI32(u8, at + CORE);

export function setCore(u8: Uint8Array, at: number, core: number): void {
  writeI32(u8, at + CORE, core);
}

export function isFlowIntact(u8: Uint8Array, at: number): boolean {
  return readI32(u8, at + CHECK) === checkOf(flowOf(u8, at), sequenceOf(u8, at));
}
