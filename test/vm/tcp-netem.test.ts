/**
 * The app `http` and the TCP of a guest's kernel, over paths that lose, delay, reorder, duplicate and corrupt packets in
 * both directions. The guest has the kernel's own virtio-net driver, on a port of the embedded switch.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { patternBytes, patternHash } from '../support/peers/bytes.js';
import { NetemGuest } from '../support/peers/netem-guest.js';
import { command, describeWith, guest as guestVm } from '../support/requirements.js';
import { temporaryDirectory } from '../support/resources.js';

const GUEST = { address: '10.0.0.1', mac: '52:54:00:00:00:01' };
const OURS = { address: '10.0.0.2', mac: '52:54:00:00:00:02' };
const URL = `http://${OURS.address}`;
/** Seconds that the guest may live: all tests together. */
const TIMEOUT_S = 600;
/** Time limit of one transfer. A path that loses 5 % carries about 1 Mb/s at 50 ms. */
const TRANSFER_MS = 50_000;

const MB = 1_000_000;

interface Path {
  readonly name: string;
  /** What netem does in each direction. */
  readonly netem: string;
  /** Bytes that it carries in each direction. */
  readonly bytes: number;
  /** What is switched off in the peer. */
  readonly off?: string;
}

const PATHS: readonly Path[] = [
  { name: 'without loss', netem: 'delay 1ms', bytes: 4 * MB },
  { name: 'with 50 ms', netem: 'delay 25ms', bytes: 4 * MB },
  { name: 'with 50 ms that loses 0.1 %', netem: 'delay 25ms loss 0.1%', bytes: 4 * MB },
  { name: 'with 50 ms that loses 1 %', netem: 'delay 25ms loss 1%', bytes: 2 * MB },
  { name: 'with 50 ms that loses 5 %', netem: 'delay 25ms loss 5%', bytes: MB / 2 },
  { name: 'that loses 1 %, with a peer without SACK', netem: 'delay 5ms loss 1%', bytes: 2 * MB, off: 'tcp_sack' },
  {
    name: 'that loses 1 %, with a peer without timestamps',
    netem: 'delay 5ms loss 1%',
    bytes: 2 * MB,
    off: 'tcp_timestamps',
  },
  {
    name: 'that loses 1 %, with a peer without window scale',
    netem: 'delay 5ms loss 1%',
    bytes: 2 * MB,
    off: 'tcp_window_scaling',
  },
  { name: 'with 50 ms that loses packets in runs', netem: 'delay 25ms loss gemodel 1% 30%', bytes: MB / 2 },
  { name: 'that reorders 25 %', netem: 'delay 10ms reorder 25%', bytes: 4 * MB },
  { name: 'that reorders 25 % and loses 1 %', netem: 'delay 10ms reorder 25% loss 1%', bytes: 2 * MB },
  { name: 'with jitter', netem: 'delay 10ms 5ms', bytes: 2 * MB },
  { name: 'that duplicates 1 %', netem: 'delay 5ms duplicate 1%', bytes: 4 * MB },
  { name: 'that corrupts 0.1 %', netem: 'delay 5ms corrupt 0.1%', bytes: 4 * MB },
];

describeWith(
  'http and the TCP of a guest, over netem',
  [guestVm, ...['tc', 'ethtool', 'curl', 'ping'].map(command)],
  () => {
    const directory = temporaryDirectory();
    const sockets = [1, 2].map((i) => join(directory.path, `vm${i}.sock`)) as [string, string];
    let bess: Child;
    let endpoint: Child;
    let guest: NetemGuest;

    beforeAll(async () => {
      bess = Child.tspmd('switch', 'forward_script.bess', ...sockets.map((path, i) => `VM${i + 1}_SOCKET=${path}`));
      await bess.waitFor(/^ready/m);
      const device = ['--device', `vhost-user:${sockets[1]}`, '--ip', `${OURS.address}/24`, '--mac', OURS.mac];
      endpoint = Child.tspmd('run', ...device, '--hugepages', 'never', '--app', 'http');
      await endpoint.waitFor(/^ready/m);
      guest = await NetemGuest.start({ socket: sockets[0], ...GUEST, timeout: TIMEOUT_S });
      const largest = Math.max(...PATHS.map(({ bytes }) => bytes));
      writeFileSync(join(directory.path, 'upload'), patternBytes(0, largest));
    });

    afterAll(async () => {
      await guest?.stop();
      await Promise.allSettled([endpoint?.stop(), bess?.stop()]);
      directory.remove();
    });

    it('has a path that does what it is told', async () => {
      await guest.path('delay 20ms', 'delay 10ms loss 50%');
      const { stdout, output } = await guest.peer(`ping -n -q -c 200 -i 0.01 ${OURS.address}`, 20_000);
      const [, lost, shortest] = /([\d.]+)% packet loss[\s\S]*= ([\d.]+)\//.exec(stdout) ?? [];
      expect(Number(lost), output).toBeGreaterThan(20);
      expect(Number(lost), output).toBeLessThan(80);
      expect(Number(shortest), output).toBeGreaterThanOrEqual(30);
    });

    describe.each(PATHS)('a path $name', ({ netem, bytes, off }) => {
      beforeAll(async () => {
        await guest.path(netem, netem);
        if (off !== undefined) await guest.set(off, 0);
      });

      afterAll(async () => {
        if (off !== undefined) await guest.set(off, 1);
      });

      it(`carries ${bytes} bytes from us`, async () => {
        const { code, output, stdout } = await guest.peer(
          `curl -sS --fail ${URL}/bytes/${bytes} | sha256sum`,
          TRANSFER_MS,
        );
        expect(code, output).toBe(0);
        expect(stdout.trim()).toBe(`${patternHash(bytes)}  -`);
      });

      it(`carries ${bytes} bytes to us`, async () => {
        const upload = `head -c ${bytes} ${join(directory.path, 'upload')}`;
        const line = `${upload} | curl -sS --fail -T - -H 'Expect:' '${URL}/sink?hash=sha256'`;
        const { code, output, stdout } = await guest.peer(line, TRANSFER_MS);
        expect(code, output).toBe(0);
        expect(stdout).toContain(patternHash(bytes));
      });
    });
  },
);
