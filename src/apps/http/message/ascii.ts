/** Bytes of HTTP/1.1 messages (RFC 9110, 5.6; RFC 9112): what may be in a token, and comparing without strings. */

export const TAB = 9;
export const LF = 10;
export const CR = 13;
export const SPACE = 32;
export const COMMA = 44;
export const COLON = 58;
export const SEMICOLON = 59;

/** 1 for each byte that a token may have (RFC 9110, 5.6.2). */
const IS_TOKEN = new Uint8Array(new ArrayBuffer(256));
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
  IS_TOKEN[character.charCodeAt(0)] = 1;
}

/** Whether the bytes from `from` up to `end` are a token: at least one byte, and only allowed ones. */
export function isToken(bytes: Uint8Array, from: number, end: number): boolean {
  for (let i = from; i < end; i++) {
    if (IS_TOKEN[bytes[i]] === 0) return false;
  }
  return end > from;
}

/** Whether a byte may be in a field value: no control character but the tab (RFC 9110, 5.5). */
export function isFieldByte(byte: number): boolean {
  return (byte >= SPACE && byte !== 0x7f) || byte === TAB;
}

/** Returns the bytes of an ASCII text. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'latin1'));
}

/** Whether the bytes from `from` up to `end` are `text`, byte for byte. */
export function isText(bytes: Uint8Array, from: number, end: number, text: Uint8Array): boolean {
  if (end - from !== text.length) return false;
  for (let i = 0; i < text.length; i++) {
    if (bytes[from + i] !== text[i]) return false;
  }
  return true;
}

/** Whether the bytes are `lower`, a name in lower case, in any mixture of cases. */
export function isName(bytes: Uint8Array, from: number, end: number, lower: Uint8Array): boolean {
  if (end - from !== lower.length) return false;
  for (let i = 0; i < lower.length; i++) {
    const byte = bytes[from + i];
    if ((byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte) !== lower[i]) return false;
  }
  return true;
}

/** Longest number that is read: 15 digits are always a safe integer. */
const MAX_DIGITS = 15;
export const NO_NUMBER = -1;
export const NUMBER_TOO_LARGE = -2;

/** Reads a decimal number. Returns {@link NO_NUMBER} or {@link NUMBER_TOO_LARGE} when it is none that we can hold. */
export function readDecimal(bytes: Uint8Array, from: number, end: number): number {
  if (end <= from) return NO_NUMBER;
  let value = 0;
  for (let i = from; i < end; i++) {
    const digit = bytes[i] - 0x30;
    if (digit < 0 || digit > 9) return NO_NUMBER;
    value = value * 10 + digit;
  }
  return end - from > MAX_DIGITS ? NUMBER_TOO_LARGE : value;
}

/** Returns the value of a hexadecimal digit, or {@link NO_NUMBER}. */
export function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : NO_NUMBER;
}

/** Returns the bytes as text, one character per byte. */
export function textOf(bytes: Uint8Array, from: number, end: number): string {
  return from === end ? '' : Buffer.from(bytes.buffer, bytes.byteOffset + from, end - from).toString('latin1');
}
