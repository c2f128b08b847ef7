/** What is to be done in the next turn of the event loop. That it is not late is a matter of `keep-alive.test.ts`. */
import { describe, expect, it } from 'vitest';
import { NextTurn } from '../../../drivers/next-turn.js';
import { until } from '../../support/until.js';

describe.each([true, false])('NextTurn, keeping alive: %s', (keepsAlive) => {
  const make = (): { turn: NextTurn; done: string[] } => {
    const turn = new NextTurn();
    turn.keepAlive(keepsAlive);
    return { turn, done: [] };
  };

  it('acts once, after this turn, and can be used again from there', async () => {
    const { turn, done } = make();
    turn.run(() => {
      done.push('first');
      turn.run(() => done.push('second'));
    });
    await Promise.resolve();
    expect(done).toEqual([]);
    await until('both are done', () => done.length === 2);
    expect(done).toEqual(['first', 'second']);
  });

  it('forgets what was replaced or cancelled', async () => {
    const { turn, done } = make();
    const other = make();
    turn.run(() => done.push('replaced'));
    turn.run(() => done.push('kept'));
    other.turn.run(() => other.done.push('cancelled'));
    other.turn.cancel();
    await until('the kept one is done', () => done.length > 0);
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
    expect([done, other.done]).toEqual([['kept'], []]);
  });

  it('acts when the answer to what it keeps alive changes before', async () => {
    const { turn, done } = make();
    turn.run(() => done.push('done'));
    turn.keepAlive(!keepsAlive);
    turn.keepAlive(keepsAlive);
    await until('it is done', () => done.length === 1);
  });
});
