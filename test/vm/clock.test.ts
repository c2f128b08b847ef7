/** The clock of a guest is put forward and back while our driver works in it: nothing may depend on the time of day. */
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
      namespace.addTap('tap0', '10.0.0.9/24');
      const ping = ['ping', '--device', NIC, '--ip', '10.0.0.1/24', '--to', '10.0.0.9'];
      const script = [
        `set -e; ${BIND} ${NIC}`,
        'i=0; YEARS=(+3 -6 +3)',
        // A step forward or back at each twentieth answer, while the next requests are on their way.
        `${Child.commandLine(...ping, '--count', String(PINGS), '--interval', '0.02', '--timeout', '5').join(' ')} |
           while read -r line; do
             echo "$line"
             if [[ $line =~ seq=[0-9]*[02468]0" " ]]; then date -s "\${YEARS[i++ % 3]} years"; fi
           done`,
        `exit \${PIPESTATUS[0]}`,
      ];
      const { code, stdout, stderr } = await Guest.run({
        mode: 'iommu',
        netdevs: [`tap:tap0@${namespace.name}`],
        timeout: 230,
        command: ['bash', '-c', script.join('\n')],
      });
      expect(stdout, stderr).toContain(`${PINGS} packets transmitted, ${PINGS} received, 0% packet loss`);
      const years = [...stdout.matchAll(/^[A-Z][a-z]{2} .* (\d{4})$/gm)].map(([, year]) => Number(year));
      expect(years, stdout).toHaveLength(PINGS / 20);
      expect(Math.max(...years) - Math.min(...years)).toBe(6);
      // A round trip of a year, or of less than nothing, would come from the clock.
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
