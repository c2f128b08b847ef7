/** Reads what scripts give SetMetadata and BPF: lists of dictionaries (BESS: module_msg.proto). */
import { BessError } from '../errors.js';
import type { Plain, PlainMap } from '../lang/index.js';
import type { BpfFilter } from '../modules/bpf.js';
import { type AttributeSetting, bytesOfInteger } from '../modules/metadata/set-metadata.js';

/** Throws EINVAL for a key that is none of `known`. */
function checkKeys(entry: PlainMap, what: string, known: readonly string[]): void {
  for (const key of entry.keys()) {
    if (known.includes(String(key))) continue;
    throw new BessError('EINVAL', `${what} has ${known.join(', ')}, and no '${String(key)}'`);
  }
}

function integerOf(entry: PlainMap, key: string): number {
  const value = entry.get(key) ?? 0;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw new BessError('EINVAL', `'${key}' must be an integer`);
}

function stringOf(entry: PlainMap, key: string): string {
  const value = entry.get(key) ?? '';
  if (typeof value === 'string') return value;
  throw new BessError('EINVAL', `'${key}' must be a string`);
}

/** Reads bytes, which are a string of characters below 256; null if they are not given. */
function bytesOf(value: Plain, key: string): Uint8Array | null {
  if (value === null) return null;
  const codes = typeof value === 'string' ? Array.from(value, (one) => one.codePointAt(0) ?? 0) : [256];
  if (codes.every((code) => code < 256)) return Uint8Array.from(codes);
  throw new BessError('EINVAL', `'${key}' must be a string of bytes, such as '\\x0a\\x00\\x00\\x01'`);
}

/** Reads an entry of SetMetadata's `attrs`. */
export function attributeSetting(entry: PlainMap): AttributeSetting {
  const keys = ['name', 'size', 'value_int', 'value_bin', 'offset', 'mask', 'rshift_bits'];
  checkKeys(entry, 'an attribute', keys);
  const size = integerOf(entry, 'size');
  const has = (key: string): boolean => (entry.get(key) ?? null) !== null;
  if (has('value_int') && has('value_bin')) throw new BessError('EINVAL', "give one of 'value_int' and 'value_bin'");
  let value = bytesOf(entry.get('value_bin') ?? null, 'value_bin');
  if (has('value_int')) {
    const number = integerOf(entry, 'value_int');
    value =
      number < 0 || size < 1 || size > 32 ? new Uint8Array(0) : (bytesOfInteger(number, size) ?? new Uint8Array(0));
    if (value.length !== size && size >= 1 && size <= 32) {
      throw new BessError('EINVAL', `'value_int' field has not a correct ${size}-byte value: ${number}`);
    }
  }
  const mask = bytesOf(entry.get('mask') ?? null, 'mask');
  const shift = integerOf(entry, 'rshift_bits') / 8;
  for (const [key, isGiven] of [
    ['mask', mask !== null && mask.length > 0] as const,
    ['rshift_bits', shift !== 0] as const,
  ]) {
    if (isGiven && value !== null) {
      throw new BessError('EINVAL', `'${key}' may only be set when copying metadata from a packet.`);
    }
  }
  return {
    ...{ name: stringOf(entry, 'name'), size, value, offset: integerOf(entry, 'offset'), shift },
    mask: mask === null || mask.length === 0 ? null : mask,
  };
}

/** Reads an entry of BPF's `filters`. */
export function bpfFilter(entry: PlainMap): BpfFilter {
  checkKeys(entry, 'a filter', ['priority', 'filter', 'gate']);
  return {
    priority: integerOf(entry, 'priority'),
    filter: stringOf(entry, 'filter'),
    gate: integerOf(entry, 'gate'),
  };
}
