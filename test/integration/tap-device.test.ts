/** `--device tap:NAME`: an endpoint on a tap interface, and the Linux kernel at its other end, without a switch. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import { NetworkNamespace } from '../../scripts/netns.js';
import { expectAnswers } from '../support/peers/kernel-ping.js';
import { command, describeWith, root, tun } from '../support/requirements.js';

const OWN = ['--ip', '10.0.0.1/24', '--mac', '52:54:00:00:00:01', '--app'];

describeWith('a tap interface as device', [root, tun, command('ip'), command('ping'), command('curl')], () => {
  let namespace: NetworkNamespace;
  let endpoint: Child;

  const start = (device: string, app = 'echo'): Child => {
    endpoint = namespace.tspmd('run', '--device', device, ...OWN, app);
    return endpoint;
  };

  beforeEach(() => {
    namespace = NetworkNamespace.create();
  });

  afterEach(async () => {
    await endpoint?.stop();
    namespace.remove();
  });

  it('gets an address for the kernel, and answers it', async () => {
    await start('tap:tap0,host=10.0.0.9/24').waitFor(/^ready: 10\.0\.0\.1\/24 at 52:54:00:00:00:01 on tap:tap0/m);
    expect(namespace.ip('addr', 'show', 'tap0')).toMatch(/[<,]UP[,>][\s\S]*inet 10\.0\.0\.9\/24 /);
    for (const size of [0, 56, 1472]) await expectAnswers(namespace, '10.0.0.1', { count: 20, interval: 0.05, size });
    await endpoint.stop();
    expect(endpoint.stdout).toMatch(/^stopped: received [0-9]+ frames, sent 6[0-9];/m);
    expect(() => namespace.ip('link', 'show', 'tap0')).toThrow(/does not exist/);
  });

  it('serves curl, by the commands of docs/kernel.md', async () => {
    await start('tap:tspmd0,host=10.0.0.9/24', 'http').waitFor(/^ready/m);
    const page = namespace.spawn('curl', '-sS', '--max-time', '20', 'http://10.0.0.1/');
    expect((await page.exited).code).toBe(0);
    expect(page.stdout).toContain('It works');
    const format = '%{size_download}';
    const long = namespace.spawn(
      'curl',
      '-sS',
      '-m',
      '60',
      '-o',
      '/dev/null',
      '-w',
      format,
      'http://10.0.0.1/bytes/50000000',
    );
    expect((await long.exited).code).toBe(0);
    expect(long.stdout).toBe('50000000');
  });

  it('takes an interface that exists, says that it is down, and leaves it', async () => {
    namespace.ip('tuntap', 'add', 'tap0', 'mode', 'tap');
    await start('tap:tap0').waitFor(/^ready/m);
    await endpoint.waitFor(/the interface tap0 is down: bring it up with 'ip link set tap0 up'/);
    namespace.ip('addr', 'add', '10.0.0.9/24', 'dev', 'tap0');
    namespace.ip('link', 'set', 'tap0', 'up');
    await expectAnswers(namespace, '10.0.0.1', { count: 5, interval: 0.05, size: 56 });
    await endpoint.stop();
    expect(namespace.ip('link', 'show', 'tap0')).toContain('tap0');
  });

  it('takes an interface whose last user had offloads, without them', async () => {
    namespace.addTap('tap0', '10.0.0.9/24');
    for (const offloads of ['auto', 'off']) {
      endpoint = namespace.tspmd('run', '--device', 'tap:tap0', ...OWN, 'http', '--offloads', offloads);
      await endpoint.waitFor(/^ready/m);
      const line = 'head -c 5000000 /dev/zero | curl -sS --fail -m 20 -T - -H Expect: http://10.0.0.1/sink';
      const client = namespace.spawn('bash', '-c', `set -o pipefail; ${line}`);
      expect((await client.exited).code, client.output).toBe(0);
      await endpoint.stop();
      expect(endpoint.stdout.includes('tcp_gso_in')).toBe(offloads === 'auto');
    }
  });

  it('answers while it spins, and says that the interface was deleted', async () => {
    namespace.addTap('tap0', '10.0.0.9/24');
    endpoint = namespace.tspmd('run', '--device', 'tap:tap0', '--idle', 'spin', ...OWN, 'echo');
    await endpoint.waitFor(/^ready/m);
    await expectAnswers(namespace, '10.0.0.1', { count: 20, interval: 0.05, size: 56 });
    namespace.ip('link', 'del', 'tap0');
    await endpoint.waitFor(/the interface tap0 is gone/);
  });

  it('says that the interface was deleted', async () => {
    await start('tap:tap0,host=10.0.0.9/24').waitFor(/^ready/m);
    namespace.ip('link', 'del', 'tap0');
    await endpoint.waitFor(/the interface tap0 is gone/);
  });

  it('refuses the interface of another process', async () => {
    await start('tap:tap0,host=10.0.0.9/24').waitFor(/^ready/m);
    const second = namespace.tspmd('run', '--device', 'tap:tap0', ...OWN, 'echo');
    expect((await second.exited).code).toBe(1);
    expect(second.output).toContain('tap tap0: another process has this interface (EBUSY)');
  });
});
