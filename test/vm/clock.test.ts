/** The clock of a guest is put forward and back while our driver is at work in it: nothing may depend on the time of day. */
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { Guest } from '../../scripts/vm/guest.js';
import { nicAddress } from '../../scripts/vm/netdev.js';
import { describeWith, guest } from '../support/requirements.js';

const BIND = fileURLToPath(new URL('../../scripts/bind-vfio.sh', import.meta.url));
const [OURS, PEER] = [nicAddress(0), nicAddress(1)] as const;
const PINGS = 150;

describeWith('a clock that is put forward and back by years', [guest], () => {
  it('disturbs neither ARP, pings nor sleeps', async () => {
    const run = (device: string, ip: string): string =>
      `${Child.commandLine().join(' ')} $1 --device ${device} --ip ${ip}/24`;
    const script = [
      'set -e',
      `${BIND} ${OURS}; ${BIND} ${PEER}`,
      `coproc ${run(OURS, '10.0.0.1').replace('$1', 'run')}; read -r _ <&"\${COPROC[0]}"`,
      // Until the pings are done, one step forward and one back at a time.
      '(while :; do date -s "+3 years"; sleep 0.1; date -s "-6 years"; sleep 0.1; date -s "+3 years"; sleep 0.1; done) > /tmp/steps & STEPS=$!',
      `${run(PEER, '10.0.0.2').replace('$1', 'ping')} --to 10.0.0.1 --count ${PINGS} --interval 0.02 --timeout 5`,
      'kill $STEPS; echo steps $(wc -l < /tmp/steps); kill $COPROC_PID; wait $COPROC_PID',
    ];
    const { code, stdout, stderr } = await Guest.run({
      mode: 'iommu',
      netdevs: ['hub:0', 'hub:0,mac=52:54:00:00:00:09'],
      timeout: 110,
      command: ['bash', '-c', script.join('\n')],
    });
    expect(stdout, stderr).toContain(`${PINGS} packets transmitted, ${PINGS} received, 0% packet loss`);
    expect(Number(/^steps (\d+)$/m.exec(stdout)?.[1]), stdout).toBeGreaterThan(3);
    // A round trip of a year, or of less than nothing, would be the clock's.
    for (const [, ms] of stdout.matchAll(/time=(\S+) ms/g)) {
      expect(Number(ms)).toBeGreaterThan(0);
      expect(Number(ms)).toBeLessThan(60_000);
    }
    expect(code, stderr).toBe(0);
  });
});
