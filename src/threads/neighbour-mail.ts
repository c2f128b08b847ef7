/**
 * Questions and answers about neighbours, over a ring: an address and a small number that says what about it. A place of the
 * ring carries 16 bits of each kind, so that a letter takes two, which are written and read together.
 */
import type { SpscRing } from '../../rings/spsc-ring.js';

/** Places of the ring that a letter takes. */
export const PLACES_A_LETTER = 2;
/** Letters that are read at once. */
const LETTERS = 16;

/** One end of the ring: it either sends or takes. */
export class NeighbourMail {
  private readonly halves = new Uint32Array(LETTERS * PLACES_A_LETTER);
  private readonly kinds = new Uint32Array(LETTERS * PLACES_A_LETTER);

  /** @param ring for letters only: its places are then taken two by two, and none is ever left for a half */
  constructor(private readonly ring: SpscRing) {}

  /**
   * Sends a letter.
   * @param ip address, 32 bits
   * @param kind what about it, 16 bits
   * @returns false when the ring is full
   */
  send(ip: number, kind: number): boolean {
    const { halves, kinds } = this;
    halves[0] = ip >>> 16;
    halves[1] = ip & 0xffff;
    kinds.fill(kind, 0, PLACES_A_LETTER);
    return this.ring.enqueueBurst(halves, kinds, 0, PLACES_A_LETTER) === PLACES_A_LETTER;
  }

  /** Takes all letters; calls `visit` for each with the address, signed, and the kind. */
  takeAll(visit: (ip: number, kind: number) => void): void {
    const { halves, kinds } = this;
    let count: number;
    do {
      count = this.ring.dequeueBurst(halves, kinds, halves.length);
      for (let i = 0; i < count; i += PLACES_A_LETTER) visit((halves[i] << 16) | halves[i + 1], kinds[i]);
    } while (count === halves.length);
  }
}
