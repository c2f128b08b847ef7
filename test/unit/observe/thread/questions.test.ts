/** How the thread that answers for a process asks the main thread. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RequestError } from '../../../../observe/control/requests.js';
import { Questions } from '../../../../observe/thread/questions.js';

const SILENCE = 'the main thread has not answered for 2 s: it hangs, or the process was stopped';

let asked: { readonly id: number; readonly what: string; readonly args: object }[];
let questions: Questions;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  asked = [];
  questions = new Questions((id, what, args) => asked.push({ id, what, args }));
});

afterEach(() => {
  vi.useRealTimers();
});

/** Answers the question that was asked as the `i`th. */
const answer = (i: number, value: unknown, seenAt = 0): void => questions.take(asked[i]!.id, seenAt, { value });

describe('snapshots', () => {
  it('are taken after they were wanted, at most one in 20 ms', async () => {
    const first = questions.get('stats');
    expect(asked).toHaveLength(1);
    const later = [questions.get('stats'), questions.get('stats')];
    answer(0, { n: 1 });
    expect(await first).toEqual({ n: 1 });
    expect(asked).toHaveLength(1);
    vi.advanceTimersByTime(20);
    expect(asked).toHaveLength(2);
    answer(1, { n: 2 });
    expect(await Promise.all(later)).toEqual([{ n: 2 }, { n: 2 }]);
    vi.advanceTimersByTime(1000);
    expect(asked).toHaveLength(2);
  });

  it('tell how long the main thread took to see the question', async () => {
    const first = questions.get('stats');
    answer(0, {}, performance.timeOrigin + performance.now() + 7);
    await first;
    expect(questions.delayMs).toBeCloseTo(7);
  });

  it('that do not come are refused after two seconds, and not asked for again', async () => {
    const all: Promise<unknown>[] = [];
    for (let i = 0; i < 100; i++) {
      all.push(questions.get('stats').catch((error: Error) => error.message));
      vi.advanceTimersByTime(100);
    }
    expect(asked).toHaveLength(2);
    expect(new Set(await Promise.all(all))).toEqual(new Set([SILENCE]));
    // When it goes on, it answers what it was asked.
    answer(0, { n: 1 });
    answer(1, { n: 2 });
    const next = questions.get('stats');
    expect(asked).toHaveLength(3);
    answer(2, { n: 3 });
    expect(await next).toEqual({ n: 3 });
  });
});

describe('questions', () => {
  it('of one kind do not wait for those of another, whose answers may come first', async () => {
    const stats = questions.get('stats');
    const list = questions.get('list', { limit: 1 });
    expect(asked.map(({ what, args }) => [what, args])).toEqual([
      ['stats', {}],
      ['list', { limit: 1 }],
    ]);
    answer(1, 'list');
    answer(0, 'stats');
    expect(await Promise.all([stats, list])).toEqual(['stats', 'list']);
  });

  it('with the same arguments share an answer, those with others wait for their turn', async () => {
    const first = questions.get('list', { limit: 1 });
    const later = [2, 3, 2, 3].map((limit) => questions.get('list', { limit }));
    answer(0, 1);
    expect(await first).toBe(1);
    vi.advanceTimersByTime(20);
    expect(asked).toHaveLength(2);
    vi.advanceTimersByTime(20);
    expect(asked.map(({ args }) => args)).toEqual([{ limit: 1 }, { limit: 2 }, { limit: 3 }]);
    answer(2, 3);
    answer(1, 2);
    expect(await Promise.all(later)).toEqual([2, 3, 2, 3]);
  });

  it('that a hanging main thread is not asked any more are refused, too', async () => {
    const all = Array.from({ length: 10 }, (_, limit) => questions.get('list', { limit }));
    const refused = Promise.all(all.map((one) => one.catch((error: Error) => error.message)));
    vi.advanceTimersByTime(2100);
    expect(new Set(await refused)).toEqual(new Set([SILENCE]));
    expect(asked).toHaveLength(2);
    answer(0, 0);
    answer(1, 0);
    // Nobody waits for the others any more.
    vi.advanceTimersByTime(1000);
    expect(asked).toHaveLength(2);
    const again = questions.get('list', { limit: 7 });
    answer(2, 7);
    expect(await again).toBe(7);
  });

  it('are refused with what the main thread says; nonsense is no answer', async () => {
    const one = questions.get('list', { port: 'x' });
    questions.take(17, 0, { value: 1 });
    questions.take(asked[0]!.id, 0, { fault: "there is no port 'x'" });
    await expect(one).rejects.toThrow(new RequestError("there is no port 'x'"));
    questions.take(asked[0]!.id, 0, { value: 1 });
  });
});
