/** Packets into and out of a ring, for tests. */
import { SpscRing } from '../../../rings/spsc-ring.js';

export function put(ring: SpscRing, handle: number, length: number): boolean {
  return ring.enqueueBurst(Uint32Array.of(handle), Uint32Array.of(length), 0, 1) === 1;
}

/** Handles and lengths of up to `max` packets. */
export function take(ring: SpscRing, max: number): [number, number][] {
  const handles = new Uint32Array(max);
  const lengths = new Uint32Array(max);
  const count = ring.dequeueBurst(handles, lengths, max);
  return Array.from({ length: count }, (_, i) => [handles[i]!, lengths[i]!]);
}

/** Where indexes begin: also shortly before they pass 2^31 and 2^32. */
export const FIRST_INDEXES = [0, -5, 2 ** 31 - 5] as const;

/** Rings one after the other in one buffer; each call of `side` attaches to all of them. */
export function severalRings(rings: number, capacity: number, firstIndex = 0) {
  const bytes = SpscRing.bytesFor(capacity);
  const buffer = new SharedArrayBuffer(rings * bytes);
  const places = Array.from({ length: rings }, (_, i) => i * bytes);
  for (const at of places) SpscRing.reset(buffer, at, firstIndex);
  return { side: (): SpscRing[] => places.map((at) => new SpscRing(buffer, at, capacity)) };
}
