import { describe, expect, it } from 'vitest';
import { SpscRing } from '../../../../../rings/spsc-ring.js';
import { NeighbourChannel, SLOTS_PER_MESSAGE } from '../../../../../src/threads/shared/neighbour-channel.js';

/** Both ends of a ring for this many messages. */
function ends(letters: number): [NeighbourChannel, NeighbourChannel] {
  const places = letters * SLOTS_PER_MESSAGE;
  const buffer = new SharedArrayBuffer(SpscRing.bytesFor(places));
  // The first message is the last before the indexes of the ring pass from -1 to 0.
  SpscRing.reset(buffer, 0, -SLOTS_PER_MESSAGE);
  return [new NeighbourChannel(new SpscRing(buffer, 0, places)), new NeighbourChannel(new SpscRing(buffer, 0, places))];
}

function letters(mail: NeighbourChannel): [number, number][] {
  const all: [number, number][] = [];
  mail.receiveAll((ip, kind) => all.push([ip, kind]));
  return all;
}

describe('NeighbourChannel', () => {
  it('carries addresses of all 32 bits, with the question about each, in order', () => {
    const [sender, reader] = ends(4);
    const sent: [number, number][] = [
      [0x0a000009, 0],
      [0xffffffff | 0, 1],
      [0xc0a80001 | 0, 0xffff],
      [0, 2],
    ];
    for (const [ip, kind] of sent) expect(sender.send(ip, kind)).toBe(true);
    expect(letters(reader)).toEqual(sent);
    expect(letters(reader)).toEqual([]);
  });

  it('takes more than are read at once, and refuses what it has no room for', () => {
    const [sender, reader] = ends(64);
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 64; i++) expect(sender.send(0xac100000 + i, i)).toBe(true);
      expect(sender.send(1, 1)).toBe(false);
      expect(letters(reader)).toEqual(Array.from({ length: 64 }, (_, i) => [(0xac100000 + i) | 0, i]));
    }
  });
});
