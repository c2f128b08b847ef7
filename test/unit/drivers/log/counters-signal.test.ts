import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { CountersSignal } from '../../../../drivers/log/counters-signal.js';

const before = process.listenerCount('SIGUSR1');

describe('CountersSignal', () => {
  let signal: CountersSignal;
  let prints = 0;

  const opened = (): void => {
    prints = 0;
    signal = new CountersSignal();
    signal.print = () => prints++;
  };

  afterEach(() => signal.close());

  it('prints once for all signals of a turn', async () => {
    opened();
    for (let i = 0; i < 1000; i++) process.emit('SIGUSR1');
    await nextTurn();
    expect(prints).toBe(1);
    process.emit('SIGUSR1');
    await nextTurn();
    expect(prints).toBe(2);
  });

  it('listens before there is anything to print', async () => {
    signal = new CountersSignal();
    expect(process.listenerCount('SIGUSR1')).toBe(before + 1);
    process.emit('SIGUSR1');
    await nextTurn();
  });

  it('does not listen or print any more when it is closed', async () => {
    opened();
    process.emit('SIGUSR1');
    signal.close();
    await nextTurn();
    expect(prints).toBe(0);
    expect(process.listenerCount('SIGUSR1')).toBe(before);
  });
});
