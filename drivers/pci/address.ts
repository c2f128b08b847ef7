/** Addresses of PCI functions: `domain:bus:device.function`, in hexadecimal. */

const PCI_ADDRESS = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[01][0-9a-f]\.[0-7])$/i;

/** Whether `text` is the address of a PCI function, with or without its domain. */
export function isPciAddress(text: string): boolean {
  return PCI_ADDRESS.test(text);
}

/**
 * Returns the address as sysfs writes it: lower case, with the domain (`0000` when `text` has none).
 * @throws TypeError when `text` is no PCI address
 */
export function pciAddress(text: string): string {
  const match = PCI_ADDRESS.exec(text);
  if (match === null) throw new TypeError(`'${text}' is not a PCI address such as 0000:00:04.0`);
  return `${match[1] ?? '0000'}:${match[2]}`.toLowerCase();
}
