/**
 * The owner and the borrower of a transmit queue, in every order of their steps: neither waits for ever for what the
 * other has said already, they are never in the ring together, and no buffer is lost.
 * `drivers/virtio/lending/tx-loan.ts` has the argument.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SEEN, STATE } from '../../../../../drivers/virtio/lending/tx-loan.js';
import { explore, type Scenario } from '../../../../support/lending/lending-orders.js';

vi.mock('node:worker_threads', async (original) => {
  const { MessageChannel, receiveMessageOnPort } = await import('../../../../support/lending/lending-state.js');
  return { ...(await original<typeof import('node:worker_threads')>()), MessageChannel, receiveMessageOnPort };
});

/** The device is lost and comes back. */
const LOSS = ['pause', 'left', 'reset', 'start'];
const RUNS = ['lend', 'reset', 'start'];
const LIMIT = { timeout: 60_000 };

beforeEach(() => {
  // How long the owner waits for an answer is not tested here: an answer comes, or the owner waits for ever.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});

afterEach(() => {
  vi.useRealTimers();
});

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'the device is lost': { script: [...RUNS, ...LOSS], borrower: 'sleeps' },
  'the device is lost while the borrower spins': { script: [...RUNS, ...LOSS], borrower: 'spins' },
  'the device is lost while the borrower blocks': { script: [...RUNS, ...LOSS], borrower: 'blocks' },
  'the queue is lent before the device is up': { script: ['lend', ...LOSS, 'start'], borrower: 'sleeps' },
  'the link goes down, the device is lost, the link comes up': {
    script: [...RUNS, 'link down', 'pause', 'left', 'reset', 'link up', 'start'],
    borrower: 'sleeps',
  },
  // Between `broken` and `left` the owner has paused.
  'the device breaks the ring': { script: [...RUNS, 'broken', ...LOSS.slice(1)], borrower: 'spins' },
  'the device is closed': { script: [...RUNS, 'end'], borrower: 'sleeps' },
  'the device is closed while the borrower spins': { script: [...RUNS, 'end'], borrower: 'spins' },
  'the device is lost and closed': { script: [...RUNS, 'pause', 'end'], borrower: 'sleeps' },
  'the borrower gives the queue back': { script: [...RUNS, ...LOSS], borrower: 'sleeps', end: 'closes' },
  'the borrower’s thread ends, wherever it is': { script: [...RUNS, ...LOSS], borrower: 'sleeps', end: 'dies' },
};

describe('in every order of their steps nothing goes wrong when', () => {
  it.each(Object.entries(SCENARIOS))('%s', LIMIT, async (_, scenario) => {
    const { states, rests, faults } = await explore(scenario);
    expect(Object.fromEntries(faults)).toEqual({});
    expect(rests).toBeGreaterThan(0);
    expect(states).toBeGreaterThan(100);
  });
});

describe('a wrong order of steps is found:', () => {
  const kindsOf = async (scenario: Scenario): Promise<string[]> => [...(await explore(scenario)).faults.keys()];

  it('the message is sent before the state is set', LIMIT, async () => {
    const kinds = await kindsOf({ script: [...RUNS, ...LOSS], borrower: 'sleeps', late: STATE });
    expect(kinds).toContain('the borrower sleeps for ever: STATE 2, followed 1');
    expect(kinds).toContain('the owner waits for ever: left');
  });

  it('the borrower answers after the step that follows its answer', LIMIT, async () => {
    const kinds = await kindsOf({ script: [...RUNS, ...LOSS], borrower: 'sleeps', late: SEEN });
    expect(kinds).toContain('the borrower is in the ring, which the owner has reset');
    expect(kinds).toContain('the owner waits for ever: left');
  });

  it('one side sleeps and waits for something that the other never sends', LIMIT, async () => {
    // The ring breaks only in its first start, which the borrower may have missed.
    const kinds = await kindsOf({ script: ['lend', 'start', ...LOSS, 'broken'], borrower: 'spins' });
    expect(kinds).toEqual(['the owner waits for ever: broken']);
  });
});
