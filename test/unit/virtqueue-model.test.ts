/**
 * The driver's and the device's side of virtqueues, played against each other and against plain ones written from the
 * specification, in random interleavings; after each step an executable specification (`test/model`) must agree on who owns
 * each buffer, on the order and content of all frames, and on which notifications were due.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { Bench, configs, type Player, runs } from '../model/bench.js';
import { finishTx, TxState, txReal, txSteps } from '../model/transmit.js';

const pairs: readonly (readonly [Player, Player])[] = [
  ['ours', 'ours'],
  ['ours', 'plain'],
  ['plain', 'ours'],
];

let bench: Bench;
beforeAll(() => {
  bench = new Bench();
});
afterAll(() => bench.dispose());

describe.each(pairs)('driver: %s, device: %s', (driver, device) => {
  const given = configs(driver, device);

  it('transmit: the model agrees after every step', () => {
    const runsAndSteps = given.chain((config) =>
      fc.tuple(fc.constant(config), fc.commands(txSteps(config), { maxCommands: 60, size: '+1' })),
    );
    fc.assert(
      fc.property(runsAndSteps, ([config, steps]) => {
        const holder = { state: new TxState(config) };
        const real = txReal(bench, config);
        try {
          fc.modelRun(() => ({ model: holder, real }), steps);
          finishTx(holder, real);
        } finally {
          real.close();
        }
      }),
      { numRuns: runs(150, 10_000) },
    );
  });
});
