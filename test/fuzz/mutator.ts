/** New cases out of old ones: bytes changed, dropped, doubled, exchanged, taken from another case or from a dictionary. */
import type { Random } from './random.js';

/** Numbers at which code goes wrong, little-endian. */
const EDGES: readonly (readonly number[])[] = [
  [0],
  [1],
  [2],
  [0x7f],
  [0x80],
  [0xff],
  [0, 0],
  [0xff, 0xff],
  [0, 0x80],
  [0xff, 0x7f],
  [0, 1],
  [0, 0, 0, 0],
  [0xff, 0xff, 0xff, 0xff],
  [0, 0, 0, 0x80],
  [0xff, 0xff, 0xff, 0x7f],
  [0, 0x10, 0, 0],
  [0xff, 0x0f, 0, 0],
];
const LONGEST_CHUNK = 32;

export class Mutator {
  private readonly words: readonly Uint8Array[];

  constructor(
    private readonly random: Random,
    dictionary: readonly string[] = [],
  ) {
    this.words = [...EDGES.map((edge) => Uint8Array.from(edge)), ...dictionary.map((word) => Buffer.from(word))];
  }

  /** Fills `to` with random bytes; returns how many. Short cases are more frequent. */
  generate(to: Uint8Array): number {
    const { random } = this;
    const length = random.below(Math.min(to.length, 1 << (3 + random.below(8)))) + 1;
    for (let i = 0; i < length; i++) to[i] = random.next();
    return length;
  }

  /** Changes the first `length` bytes of `bytes` in one to eight ways; returns the new length. `other` is another case. */
  mutate(bytes: Uint8Array, length: number, other: Uint8Array): number {
    // Most are small steps, as what has been reached is kept.
    let steps = 1 + this.random.below(2);
    while (steps < 8 && this.random.below(3) === 0) steps++;
    let now = length;
    for (let i = 0; i < steps; i++) now = this.step(bytes, now, other);
    return now;
  }

  private step(bytes: Uint8Array, length: number, other: Uint8Array): number {
    const { random } = this;
    if (length === 0) return this.insert(bytes, 0, 0, other, 0, Math.min(other.length, LONGEST_CHUNK));
    const at = random.below(length);
    const chunk = 1 + random.below(Math.min(length - at, LONGEST_CHUNK));
    switch (random.below(11)) {
      case 0:
        bytes[at]! ^= 1 << random.below(8);
        return length;
      case 1:
      case 2:
        bytes[at] = random.next();
        return length;
      case 3:
        bytes[at]! += random.below(17) - 8;
        return length;
      case 4: {
        const word = this.words[random.below(this.words.length)]!;
        for (let i = 0; i < word.length && at + i < length; i++) bytes[at + i] = word[i]!;
        return length;
      }
      case 5: {
        const word = this.words[random.below(this.words.length)]!;
        return this.insert(bytes, length, at, word, 0, word.length);
      }
      case 6:
        bytes.copyWithin(at, at + chunk, length);
        return length - chunk;
      case 7:
        return this.insert(bytes, length, at, bytes.slice(at, at + chunk), 0, chunk);
      case 8:
        bytes.copyWithin(at, random.below(length), length);
        return length;
      case 9: {
        if (other.length === 0) return length;
        const from = random.below(other.length);
        return this.insert(
          bytes,
          length,
          at,
          other,
          from,
          1 + random.below(Math.min(other.length - from, LONGEST_CHUNK)),
        );
      }
      default: {
        if (other.length === 0) return length;
        const from = random.below(other.length);
        for (let i = 0; i < chunk && from + i < other.length; i++) bytes[at + i] = other[from + i]!;
        return length;
      }
    }
  }

  private insert(to: Uint8Array, length: number, at: number, from: Uint8Array, start: number, count: number): number {
    const room = Math.min(count, to.length - length);
    to.copyWithin(at + room, at, length);
    for (let i = 0; i < room; i++) to[at + i] = from[start + i]!;
    return length + room;
  }
}
