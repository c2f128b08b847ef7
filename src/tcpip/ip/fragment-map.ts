/**
 * Which units of 8 bytes of a datagram have come: one bit each. A datagram has a map of 1 KiB, whatever a peer sends, so
 * there is no list that could grow.
 */

/** log2 of the bytes of a unit: fragments begin at multiples of 8 bytes (RFC 791, 3.1). */
export const UNIT_SHIFT = 3;
/** Words per datagram: a bit for each of 8192 units. */
const MAP_WORDS = 8192 / 32;

/** The results of {@link FragmentMap.look}. */
export const UNITS_NEW = 0;
export const UNITS_KNOWN = 1;
export const UNITS_MIXED = 2;

export class FragmentMap {
  private readonly bits: Int32Array;

  /** @param maps how many datagrams there are */
  constructor(maps: number) {
    this.bits = new Int32Array(maps * MAP_WORDS);
  }

  /** Forgets the units of a datagram. */
  clear(map: number): void {
    this.bits.fill(0, map * MAP_WORDS, (map + 1) * MAP_WORDS);
  }

  /** Tells whether all, none or some of the units from `first` to `end - 1` are there. */
  look(map: number, first: number, end: number): number {
    const { bits } = this;
    let none = true;
    let all = true;
    for (let unit = first; unit < end; ) {
      const mask = maskOf(unit, end);
      const found = bits[map * MAP_WORDS + (unit >>> 5)] & mask;
      if (found !== 0) none = false;
      if (found !== mask) all = false;
      unit = (unit | 31) + 1;
    }
    return none ? UNITS_NEW : all ? UNITS_KNOWN : UNITS_MIXED;
  }

  /** Enters the units from `first` to `end - 1`. */
  enter(map: number, first: number, end: number): void {
    for (let unit = first; unit < end; ) {
      this.bits[map * MAP_WORDS + (unit >>> 5)] |= maskOf(unit, end);
      unit = (unit | 31) + 1;
    }
  }
}

/** The bits of the units from `unit` to `end - 1` in the word of `unit`. */
function maskOf(unit: number, end: number): number {
  const low = unit & 31;
  const count = Math.min(end - unit, 32 - low);
  return (count === 32 ? -1 : (1 << count) - 1) << low;
}
