/**
 * Questions and answers about neighbours between a core and the Rx worker, over a ring: an IPv4 address and a small
 * number that says what about it. A slot of the ring carries 16 bits of each, so a message takes two slots, which are
 * written and read together.
 */
import type { SpscRing } from '../../../rings/spsc-ring.js';

/** Slots of the ring that a message takes. */
export const SLOTS_PER_MESSAGE = 2;
/** Messages that are read at once. */
const MESSAGES_PER_READ = 16;

/**
 * The kind of a question. ASK_RESOLVE wants an answer; ASK_RECONFIRM says that an old entry is in use, and wants none.
 */
export const ASK_RESOLVE = 0;
export const ASK_RECONFIRM = 1;
/** The kind of an answer. */
export const ANSWER_RESOLVED = 0;
export const ANSWER_FAILED = 1;

/** Questions that a core may have open. The ring for the answers has room for as many, so that no answer is lost. */
export const MAX_QUESTIONS = 512;

/** One end of the ring: it either sends or receives. */
export class NeighbourChannel {
  private readonly halves = new Uint32Array(MESSAGES_PER_READ * SLOTS_PER_MESSAGE);
  private readonly kinds = new Uint32Array(MESSAGES_PER_READ * SLOTS_PER_MESSAGE);

  /**
   * @param ring for messages only: its slots are then taken two by two, and a message never finds a single free slot
   */
  constructor(private readonly ring: SpscRing) {}

  /**
   * Sends a message.
   * @param ip the address, 32 bits
   * @param kind what about it, 16 bits
   * @returns false when the ring is full
   */
  send(ip: number, kind: number): boolean {
    const { halves, kinds } = this;
    halves[0] = ip >>> 16;
    halves[1] = ip & 0xffff;
    kinds.fill(kind, 0, SLOTS_PER_MESSAGE);
    return this.ring.enqueueBurst(halves, kinds, 0, SLOTS_PER_MESSAGE) === SLOTS_PER_MESSAGE;
  }

  /** Receives all messages: calls `visit` with the address, signed, and the kind of each. */
  receiveAll(visit: (ip: number, kind: number) => void): void {
    const { halves, kinds } = this;
    let count: number;
    do {
      count = this.ring.dequeueBurst(halves, kinds, halves.length);
      for (let i = 0; i < count; i += SLOTS_PER_MESSAGE) visit((halves[i] << 16) | halves[i + 1], kinds[i]);
    } while (count === halves.length);
  }
}
