/**
 * A path with a smaller MTU than both ends: the Linux kernel routes between our endpoint and a client in another network
 * namespace.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import { patternHash } from '../support/peers/bytes.js';
import { type Finished, KERNELS, KernelLab, OURS, TCP_PEERS } from '../support/peers/kernel-lab.js';
import { command, describeWith } from '../support/requirements.js';
import { MODES } from '../support/threads/modes.js';

const ROUTER = '10.1.0.1';
/** Addresses of the client. The stack remembers the path MTU of each. */
const CLIENT = '10.1.0.2';
const OTHER_CLIENT = '10.1.0.3';
const SIZE = 3_000_000;
const MTU = 1300;
const LIMIT = { timeout: 60_000 };

describeWith('a path with a small MTU, routed by the Linux kernel', [...TCP_PEERS, command('curl')], () => {
  let lab: KernelLab;
  let client: NetworkNamespace;

  async function download(from: string): Promise<Finished> {
    const line = `curl -sS --fail --interface ${from} http://${OURS}/bytes/${SIZE} | sha256sum`;
    const child = client.spawn('timeout', '-k', '2', '40', 'sh', '-c', line);
    const { code } = await child.exited;
    return { code, stdout: child.stdout, output: child.output };
  }

  beforeAll(async () => {
    lab = await KernelLab.start();
    client = NetworkNamespace.create();
    const { namespace: router } = lab;
    router.ip('link', 'add', 'veth0', 'type', 'veth', 'peer', 'name', 'veth0', 'netns', client.name);
    router.ip('addr', 'add', `${ROUTER}/24`, 'dev', 'veth0');
    router.ip('link', 'set', 'veth0', 'up');
    await lab.run(10, 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward');
    client.ip('addr', 'add', `${CLIENT}/24`, 'dev', 'veth0');
    client.ip('addr', 'add', `${OTHER_CLIENT}/24`, 'dev', 'veth0');
    client.ip('link', 'set', 'veth0', 'up');
    client.ip('route', 'add', 'default', 'via', ROUTER);
  });

  afterAll(async () => {
    client?.remove();
    await lab?.close();
  });

  describe.each([
    ['single', 'off'],
    ['2kb', 'off'],
    ['single', 'auto'],
    ['2kb', 'auto'],
  ] as const)('in mode %s, offloads %s', (mode, offloads) => {
    let endpoint: Child;

    beforeAll(async () => {
      endpoint = await lab.endpoint('--gateway', KERNELS, '--app', 'http', '--offloads', offloads, ...MODES[mode]);
    });

    afterAll(async () => {
      await endpoint?.stop();
    });

    it('makes its segments smaller when the router says so', LIMIT, async () => {
      lab.namespace.ip('route', 'replace', CLIENT, 'dev', 'veth0', 'mtu', 'lock', String(MTU));
      const { code, output } = await download(CLIENT);
      expect({ code, output }).toEqual({ code: 0, output: `${patternHash(SIZE)}  -\n` });
    });

    it('finds the size when the path drops what is longer, and says nothing', LIMIT, async () => {
      client.ip('link', 'set', 'veth0', 'mtu', String(MTU));
      client.ip('route', 'replace', 'default', 'via', ROUTER, 'advmss', '1460');
      const { code, output } = await download(OTHER_CLIENT);
      client.ip('link', 'set', 'veth0', 'mtu', '1500');
      expect({ code, output }).toEqual({ code: 0, output: `${patternHash(SIZE)}  -\n` });
    });

    it('counts both', async () => {
      await endpoint.stop();
      const sum = (name: string): number =>
        [...endpoint.stdout.matchAll(new RegExp(`\\b${name} (\\d+)`, 'g'))].reduce((all, [, n]) => all + Number(n), 0);
      expect(sum('tcp_mtu_reduced'), endpoint.stdout).toBeGreaterThan(0);
      // A veth passes a GSO packet whole, also to an end whose MTU is smaller than a segment.
      if (offloads === 'off') expect(sum('tcp_black_holes'), endpoint.stdout).toBeGreaterThan(0);
    });
  });
});
