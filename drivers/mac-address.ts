/** MAC addresses as people write them. The driver's side, the stack's side and the switch use the same functions. */

/** Length of a MAC address in bytes. */
export const MAC_BYTES = 6;

/**
 * Reads a MAC address.
 * @param form the notation that is accepted: six octets in hexadecimal digits with `:` or `-` between them
 * @returns the six octets, or null when the text does not have this form
 */
export function macOctets(text: string, form: RegExp): Uint8Array | null {
  return form.test(text) ? Uint8Array.from(text.split(/[:-]/), (octet) => Number.parseInt(octet, 16)) : null;
}

/**
 * Writes a MAC address as `52:54:00:12:34:56`.
 * @param bytes the memory that holds the six octets
 * @param offset of the first octet, in bytes
 */
export function formatMac(bytes: ArrayLike<number>, offset = 0): string {
  return Array.from({ length: MAC_BYTES }, (_, i) => bytes[offset + i].toString(16).padStart(2, '0')).join(':');
}
