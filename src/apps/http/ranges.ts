/** The field `Range` (RFC 9110, 14.2): one range of bytes. */

/** The part of a resource that a response has. */
export interface ByteRange {
  readonly start: number;
  /** Position after the last byte. */
  readonly end: number;
}

/** One range. A list of ranges may be ignored, and is. */
const ONE_RANGE = /^bytes=[ \t]*(\d{0,15})-(\d{0,15})[ \t]*$/i;

/**
 * Reads the value of a `Range` field.
 * @param size of the resource in bytes
 * @returns the range; `all` when the field must be ignored; `none` when no byte of the resource lies in the range (416)
 */
export function readRange(value: string, size: number): ByteRange | 'all' | 'none' {
  const [, first = '', last = ''] = ONE_RANGE.exec(value) ?? [];
  if (first === '' && last === '') return 'all';
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'none' : { start: size - length, end: size };
  }
  if (last !== '' && Number(last) < Number(first)) return 'all';
  if (Number(first) >= size) return 'none';
  return { start: Number(first), end: last === '' ? size : Math.min(Number(last) + 1, size) };
}
