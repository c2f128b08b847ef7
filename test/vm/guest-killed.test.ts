/**
 * QEMU is killed, with its guest, while the switch and two endpoints beside it go on: the short form of `npm run faults
 * -- guest`.
 */
import { expect, it } from 'vitest';
import { VICTIMS } from '../reliability/victims.js';
import { describeWith, guest, noIommu } from '../support/requirements.js';

const KILLS = 3;

describeWith('under load, the switch and its other ports go on when', [guest, noIommu], () => {
  it('a guest is killed', { timeout: 400_000 }, async () => {
    const { kills, recoveryMs, answered, violations } = await VICTIMS.guest.run({ kills: KILLS, seed: 1 });
    expect(violations).toEqual([]);
    expect(kills).toBeGreaterThanOrEqual(KILLS);
    expect(recoveryMs.length).toBeGreaterThan(0);
    expect(answered).toBeGreaterThan(1000);
  });
});
