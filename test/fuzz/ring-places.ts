/** Where a device-side ring is, for targets: what it has taken and what it has used, whatever its layout. */
import type { DeviceRing } from '../../drivers/virtio/device/ring.js';

interface Split {
  readonly lastAvail: number;
  readonly usedIdx: number;
  readonly size: number;
}

interface Packed {
  readonly nextAvail: number;
  readonly nextUsed: number;
}

/** Split: the avail index up to which chains were taken. Packed: the next descriptor. */
export function takenUpTo(ring: DeviceRing, packed: boolean): number {
  return packed ? (ring as unknown as Packed).nextAvail : (ring as unknown as Split).lastAvail;
}

/** Split: the used index that was shown. Packed: where the next one is used. */
export function usedUpTo(ring: DeviceRing, packed: boolean): number {
  return packed ? (ring as unknown as Packed).nextUsed : (ring as unknown as Split).usedIdx;
}
