/**
 * The driver's and the device's side of virtqueues, run against each other and against plain ends written from the
 * specification, with steps in random order. After each step an executable specification (`test/model`) must agree on
 * the owner of each buffer, on the order and content of all frames, and on the notifications that were due.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { type Config, configs, type Player, RingFixture, runs } from '../../../model/ring-fixture.js';
import { RxState } from '../../../model/rx-device-steps.js';
import { finishRx, passRx, rxReal, rxSteps } from '../../../model/rx-driver-steps.js';
import { finishTx, passTx, TxState, txReal, txSteps } from '../../../model/tx-steps.js';

const pairs: readonly (readonly [Player, Player])[] = [
  ['ours', 'ours'],
  ['ours', 'plain'],
  ['plain', 'ours'],
];

/** Long runs take minutes. */
const PATIENCE = runs(20_000, 600_000);
const AFTER = 60;
const STEPS = { maxCommands: 60, size: '+1' } as const;

let fixture: RingFixture;
beforeAll(() => {
  fixture = new RingFixture();
});
afterAll(() => fixture.dispose());

/** Runs any steps of a transmit queue, after `before` frames have gone through it, and before some more. */
function transmit(given: fc.Arbitrary<Config>, numRuns: number, before = 0): void {
  const any = given.chain((config) => fc.tuple(fc.constant(config), fc.commands(txSteps(config), STEPS)));
  fc.assert(
    fc.property(any, ([config, steps]) => {
      const holder = { state: new TxState(config) };
      const real = txReal(fixture, config);
      try {
        passTx(holder, real, before);
        fc.modelRun(() => ({ model: holder, real }), steps);
        finishTx(holder, real);
        passTx(holder, real, AFTER);
      } finally {
        real.close();
      }
    }),
    // A long beginning is not run again to find a smaller failing case.
    { numRuns, endOnFailure: before > 0 },
  );
}

function receive(given: fc.Arbitrary<Config>, numRuns: number, before = 0): void {
  const any = given.chain((config) => fc.tuple(fc.constant(config), fc.commands(rxSteps(config), STEPS)));
  fc.assert(
    fc.property(any, ([config, steps]) => {
      const { real, posted } = rxReal(fixture, config);
      const holder = { state: new RxState(config).begin(posted) };
      try {
        passRx(holder, real, before);
        fc.modelRun(() => ({ model: holder, real }), steps);
        finishRx(holder, real);
        passRx(holder, real, AFTER);
      } finally {
        real.close();
      }
    }),
    // A long beginning is not run again to find a smaller failing case.
    { numRuns, endOnFailure: before > 0 },
  );
}

describe.each(pairs)('driver: %s, device: %s', (driver, device) => {
  const given = configs(driver, device);
  /** 2.7: the indexes of a split ring have 16 bits. The steps begin shortly before they wrap. */
  const ending = given.map((config) => ({ ...config, packed: false, inOrder: false, size: 64 }));
  const ENTRIES = 0x1_0000 - 40;

  // Clauses: 2.7.10.1c, 2.7.13.4.1a, 2.8.21.3.1a, 6.2b
  it('transmit: the model agrees after every step', () => transmit(given, runs(200, 10_000)), PATIENCE);

  // Clauses: 2.7.7.2b, 2.7.7.2d, 5.1.6.4.1b, 5.1.6.4.1c
  it('receive: the model agrees after every step', () => receive(given, runs(200, 10_000)), PATIENCE);

  // Clauses: 2.7.10.1e
  it('transmit: the model agrees where the indexes wrap', () => transmit(ending, runs(1, 50), ENTRIES), PATIENCE);

  it('receive: the model agrees where the indexes wrap', () => receive(ending, runs(1, 50), ENTRIES), PATIENCE);
});
