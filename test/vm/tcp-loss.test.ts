/**
 * Our TCP and that of Linux over the same path, which loses 1 % of the data: ours in the simulator, Linux's in a guest with
 * netem. Both run in virtual time, so that the load of the machine has no influence.
 */
import { expect, it } from 'vitest';
import { Guest } from '../../scripts/vm/guest.js';
import { command, describeWith, guest } from '../support/requirements.js';
import { measure } from '../support/tcpip/schedule/throughput.js';

const SECONDS = 100;
const OMITTED_SECONDS = 10;
const LOSS_PERCENT = 1;

describeWith('our TCP and that of Linux', [guest, ...['tc', 'ethtool', 'ping', 'iperf3'].map(command)], () => {
  it.each([10, 25])('with %i ms each way and 1 % loss: ours is not 20 % slower', async (delayMs) => {
    const script = ['bash', 'scripts/vm/loss-rate.sh', ...[delayMs, LOSS_PERCENT, SECONDS].map(String)];
    const { code, stdout, stderr } = await Guest.run({
      ...{ mode: 'none', virtualTime: true, timeout: 230 },
      command: script,
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const linux = Number(/([\d.]+) Kbits\/sec +receiver/.exec(stdout)?.[1]) * 1000;
    const path = { delayMs, loss: LOSS_PERCENT / 100 };
    const fromMs = OMITTED_SECONDS * 1000;
    const [ours] = (await measure({ path, fromMs, toMs: fromMs + SECONDS * 1000 })).rates;
    console.log(`${delayMs} ms each way: ours ${ours} b/s, Linux's ${linux} b/s`);
    expect(ours! / linux, stdout).toBeGreaterThan(0.8);
  });
});
