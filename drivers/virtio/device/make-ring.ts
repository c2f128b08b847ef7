/** The device's side of a ring in the layout that was negotiated. */

import { PackedDeviceRing } from './packed-ring.js';
import type { DeviceRing, GuestMemory, RingOptions, RingPlace } from './ring.js';
import { SplitDeviceRing } from './split-ring.js';

/** Throws when size, base or alignment are not as the layout demands. The areas lie in the memory. */
export function makeDeviceRing(guest: GuestMemory, place: RingPlace, options: RingOptions): DeviceRing {
  return options.packed ? new PackedDeviceRing(guest, place, options) : new SplitDeviceRing(guest, place, options);
}
