/**
 * A flow of ours and a flow of Linux share a link. Everything runs in one guest in virtual time, so that the load of the
 * machine has no influence.
 */
import { expect, it } from 'vitest';
import { Guest } from '../../scripts/vm/guest.js';
import { command, describeWith, guest } from '../support/requirements.js';

const SECONDS = 40;
/** It takes a minute of CPU time. */
const TIMEOUT_S = 600;
const LINK_KBITS = 10_000;

describeWith('our flow and one of Linux', [guest, ...['tc', 'ethtool', 'iperf3'].map(command)], () => {
  it('share a link within 20 % of even, and leave none of it unused', { timeout: 1000 * TIMEOUT_S }, async () => {
    const script = ['bash', 'scripts/vm/shared-link.sh', String(SECONDS)];
    const { code, stdout, stderr } = await Guest.run({
      ...{ mode: 'none', virtualTime: true, timeout: TIMEOUT_S },
      command: script,
    });
    expect(code, stdout + stderr).toBe(0);
    const rateOf = (who: string): number => Number(new RegExp(`^${who} (\\d+)$`, 'm').exec(stdout)?.[1]);
    const sum = rateOf('ours') + rateOf('linux');
    console.log(`ours ${rateOf('ours')} kb/s, Linux ${rateOf('linux')} kb/s`);
    expect(sum, stdout).toBeGreaterThan(0.9 * LINK_KBITS);
    expect(rateOf('ours') / sum, stdout).toBeGreaterThan(0.4);
    expect(rateOf('ours') / sum, stdout).toBeLessThan(0.6);
  });
});
