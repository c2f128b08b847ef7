/**
 * Chooses where in the device's address space the packet memory lies. The addresses of this process (0x7f…) cannot be
 * used: an IOMMU may translate only 39 bits, and some ranges (the interrupt window at fee00000) are reserved.
 */
import * as v from './constants.js';
import { findCapability, type Range, readRanges } from './structs.js';

/**
 * What every IOMMU of x86-64 translates, without the interrupt window: for kernels that list no ranges (before 5.4).
 */
const USUAL_RANGES: readonly Range[] = [
  [0, 0xfedf_ffff],
  [0xfef0_0000, 2 ** 39 - 1],
];

/** Reads the usable ranges, first and last address of each, from the answer to VFIO_IOMMU_GET_INFO. */
export function iovaRanges(info: Buffer): readonly Range[] {
  if ((info.readUInt32LE(4) & v.IOMMU_INFO_CAPS) === 0 || info.length < v.IOMMU_INFO_BYTES) return USUAL_RANGES;
  const capability = findCapability(info, info.readUInt32LE(v.IOMMU_CAP_OFFSET), v.IOMMU_CAP_IOVA_RANGE);
  return capability < 0 ? USUAL_RANGES : readRanges(info, capability);
}

/**
 * Returns the lowest address at which `size` bytes fit. It is a multiple of `alignment`, and not 0, because an address
 * of 0 looks like a mistake.
 * @throws Error when they fit nowhere
 */
export function chooseIova(ranges: readonly Range[], size: number, alignment: number): number {
  for (const [first, last] of ranges) {
    const start = Math.max(Math.ceil(first / alignment), 1) * alignment;
    if (start + size - 1 <= last) return start;
  }
  const listed = ranges.map(([first, last]) => `0x${first.toString(16)}-0x${last.toString(16)}`).join(', ');
  throw new Error(`${size} bytes of packet memory fit none of the IOMMU's ranges (${listed || 'it has none'})`);
}
