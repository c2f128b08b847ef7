/**
 * Where the device sees the packet memory: maps an offset in the memory to an I/O virtual address.
 *
 * The transport decides it. With vhost-user and with an IOMMU the memory is one contiguous range. With guest-physical
 * addresses only each page is contiguous, and nothing that the device accesses in one piece may cross a page.
 */
export interface AddressSpace {
  /**
   * Pages of this many bytes are contiguous for the device. A power of two, or Infinity when everything is contiguous.
   */
  readonly contiguousBytes: number;
  /** The device's address of the byte at `offset`. Exact, because it is below 2^53. */
  iova(offset: number): number;
}

/** The whole memory is contiguous for the device and begins at `base`. */
export class LinearAddressSpace implements AddressSpace {
  readonly contiguousBytes = Number.POSITIVE_INFINITY;

  constructor(private readonly base: number) {}

  iova(offset: number): number {
    return this.base + offset;
  }
}

/**
 * The device's address of `bytes` bytes at `offset`, which the device will access in one piece.
 * @throws RangeError when they lie in two pages that are not contiguous for the device
 */
export function contiguousIova(space: AddressSpace, offset: number, bytes: number): number {
  const { contiguousBytes } = space;
  if (Math.floor(offset / contiguousBytes) !== Math.floor((offset + bytes - 1) / contiguousBytes)) {
    throw new RangeError(`${bytes} bytes at ${offset} cross a page of ${contiguousBytes} bytes of the packet memory`);
  }
  return space.iova(offset);
}
