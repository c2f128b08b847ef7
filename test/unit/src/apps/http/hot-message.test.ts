/** The message that was parsed last. */
import { expect, it } from 'vitest';
import { HotMessage } from '../../../../../src/apps/http/hot-message.js';

const MESSAGE = Uint8Array.from({ length: 61 }, (_, i) => i * 7 + 1);

/** Memory with the message at a place. */
function memoryWith(at: number): Uint8Array {
  const memory = new Uint8Array(new SharedArrayBuffer(256));
  memory.set(MESSAGE, at);
  return memory;
}

it('is found at any place of any memory, and every other byte is seen', () => {
  for (const first of [0, 1, 2, 3]) {
    const memory = memoryWith(first);
    const hot = new HotMessage();
    expect(hot.remember(memory, first, first + MESSAGE.length)).toBe(true);
    for (const at of [0, 1, 2, 3, 64, 65, 66, 67]) {
      for (const place of [memory.fill(0), new Uint8Array(256), new Uint8Array(new ArrayBuffer(257), 1)]) {
        place.set(MESSAGE, at);
        const end = at + MESSAGE.length;
        expect(hot.matches(place, at, end), `${first} ${at}`).toBe(true);
        expect(hot.matches(place, at, end + 1)).toBe(true);
        expect(hot.matches(place, at, end - 1)).toBe(false);
        for (let i = at; i < end; i++) {
          place[i] = place[i]! ^ 0x80;
          expect(hot.matches(place, at, end), `byte ${i - at}`).toBe(false);
          place[i] = place[i]! ^ 0x80;
        }
      }
    }
  }
});

it('is none before one is remembered, and stays when one is too long', () => {
  const hot = new HotMessage();
  expect(hot.matches(MESSAGE, 0, MESSAGE.length)).toBe(false);
  expect(hot.remember(MESSAGE, 0, MESSAGE.length)).toBe(true);
  expect(hot.remember(new Uint8Array(1000), 0, 513)).toBe(false);
  expect(hot.remember(MESSAGE, 0, 3)).toBe(false);
  expect(hot).toMatchObject({ length: MESSAGE.length });
  expect(hot.matches(MESSAGE, 0, MESSAGE.length)).toBe(true);
  expect(hot.remember(MESSAGE, 5, 25)).toBe(true);
  expect(hot.matches(MESSAGE, 5, 30)).toBe(true);
  expect(hot.matches(MESSAGE, 0, MESSAGE.length)).toBe(false);
});

it('is found in memory that does not begin at a word', () => {
  const memory = new Uint8Array(new ArrayBuffer(101), 1);
  memory.set(MESSAGE, 10);
  const hot = new HotMessage();
  hot.remember(memory, 10, 10 + MESSAGE.length);
  expect(hot.matches(memory, 10, 80)).toBe(true);
  memory[20] = 0;
  expect(hot.matches(memory, 10, 80)).toBe(false);
});
