/** The clock of a guest is put forward and back while our driver is at work in it: nothing may depend on the time of day. */
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import { Guest } from '../../scripts/vm/guest.js';
import { nicAddress } from '../../scripts/vm/netdev.js';
import { command, describeWith, guest, root, tun } from '../support/requirements.js';

const BIND = fileURLToPath(new URL('../../scripts/bind-vfio.sh', import.meta.url));
const NIC = nicAddress(0);
const PINGS = 100;

describeWith('a clock that is put forward and back by years', [guest, root, tun, command('ip')], () => {
  it('disturbs neither ARP, pings nor sleeps', async () => {
    const namespace = NetworkNamespace.create();
    try {
      namespace.ip('tuntap', 'add', 'tap0', 'mode', 'tap');
      namespace.ip('addr', 'add', '10.0.0.9/24', 'dev', 'tap0');
      namespace.ip('link', 'set', 'tap0', 'up');
      const ping = ['ping', '--device', NIC, '--ip', '10.0.0.1/24', '--to', '10.0.0.9'];
      const script = [
        `set -e; ${BIND} ${NIC}`,
        // Until the pings are done, one step forward and one back at a time.
        '(while :; do date -s "+3 years"; sleep 0.3; date -s "-6 years"; sleep 0.3; date -s "+3 years"; sleep 0.3; done) > /tmp/steps & STEPS=$!',
        'steps() { echo steps $(wc -l < /tmp/steps); }',
        // Counted at the first answer and at the end: those before it disturb nobody.
        `${Child.commandLine(...ping, '--count', String(PINGS), '--interval', '0.02', '--timeout', '5').join(' ')} |
           { while read -r line; do echo "$line"; [[ $line == *time=* ]] && break; done; steps; cat; steps; }`,
        `code=\${PIPESTATUS[0]}; kill $STEPS; exit $code`,
      ];
      const { code, stdout, stderr } = await Guest.run({
        mode: 'iommu',
        netdevs: [`tap:tap0@${namespace.name}`],
        timeout: 110,
        command: ['bash', '-c', script.join('\n')],
      });
      expect(stdout, stderr).toContain(`${PINGS} packets transmitted, ${PINGS} received, 0% packet loss`);
      const [first, last] = [...stdout.matchAll(/^steps (\d+)$/gm)].map(([, steps]) => Number(steps));
      expect(last! - first!, stdout).toBeGreaterThan(3);
      // A round trip of a year, or of less than nothing, would be the clock's.
      const times = [...stdout.matchAll(/time=(\S+) ms/g)].map(([, ms]) => Number(ms));
      expect(times).toHaveLength(PINGS);
      expect(Math.min(...times)).toBeGreaterThan(0);
      expect(Math.max(...times)).toBeLessThan(60_000);
      expect(code, stderr).toBe(0);
    } finally {
      namespace.remove();
    }
  });
});
