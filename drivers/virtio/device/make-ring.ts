/** Makes the device's side of a ring in the negotiated layout. */
import { PackedDeviceRing } from './packed-ring.js';
import type { DeviceRing, GuestMemory, RingOptions, RingPlace } from './ring.js';
import { SplitDeviceRing } from './split-ring.js';

/** Throws when size, base or alignment break the rules of the layout. The areas must lie in the memory. */
export function makeDeviceRing(guest: GuestMemory, place: RingPlace, options: RingOptions): DeviceRing {
  return options.packed ? new PackedDeviceRing(guest, place, options) : new SplitDeviceRing(guest, place, options);
}
