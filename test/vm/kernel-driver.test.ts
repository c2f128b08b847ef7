/**
 * The Linux kernel's own virtio-net driver, in a guest, on one port of the embedded switch; our endpoint on the other
 * port.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { Guest } from '../../scripts/vm/guest.js';
import { describeWith, guest } from '../support/requirements.js';

const SCRIPT = fileURLToPath(new URL('../../bess/forward_script.bess', import.meta.url));
const UDP_CLIENT = fileURLToPath(new URL('../../dist/test/support/peers/udp-echo-client.worker.js', import.meta.url));
const GUEST_MAC = '52:54:00:00:00:01';
const OUR_MAC = '52:54:00:00:00:02';

const UP = `modprobe virtio_net
ip link set eth0 up
ip addr add 10.0.0.1/24 dev eth0
`;

/** VIRTIO_F_RING_PACKED is bit 34 of the features that the driver has accepted; the first is bit 0. */
const PACKED = 'echo packed $(cut -c35 /sys/class/net/eth0/device/features)\n';

describeWith('the switch between a guest’s kernel and our endpoint', [guest], () => {
  const directory = mkdtempSync(join(tmpdir(), 'tspmd-kernel-'));
  const sockets = [1, 2].map((i) => join(directory, `vm${i}.sock`));
  let bess: Child;
  let endpoint: Child;

  beforeAll(async () => {
    bess = Child.tspmd('switch', SCRIPT, ...sockets.map((path, i) => `VM${i + 1}_SOCKET=${path}`));
    await bess.waitFor(/^ready/m);
    endpoint = Child.tspmd('run', '--device', `vhost-user:${sockets[1]}`, '--ip', '10.0.0.2/24', '--mac', OUR_MAC);
    await endpoint.waitFor(/^ready/m);
  });

  afterAll(async () => {
    await Promise.allSettled([endpoint?.stop(), bess?.stop()]);
    rmSync(directory, { recursive: true, force: true });
  });

  it.each([
    ['split rings', '', 0],
    ['packed rings', ',packed=on', 1],
    [
      'split rings without EVENT_IDX, indirect descriptors and merged buffers',
      ',event_idx=off,indirect_desc=off,mrg_rxbuf=off',
      0,
    ],
  ])('carries the kernel’s pings, small and large, and UDP of all sizes, with %s', async (_, options, packed) => {
    const script = `${UP}${PACKED}for size in 0 56 1472; do ping -n -c 10 -i 0.05 -W 5 -M do -s $size 10.0.0.2 || exit 1; done
exec ${process.execPath} ${UDP_CLIENT} 10.0.0.2 200`;
    const { code, stdout, stderr } = await Guest.run({
      mode: 'none',
      kernelDriver: true,
      netdevs: [`vhost-user:${sockets[0]},mac=${GUEST_MAC}${options}`],
      command: ['sh', '-c', script],
    });
    expect(stdout.match(/10 packets transmitted, 10 received, 0% packet loss/g), stdout + stderr).toHaveLength(3);
    expect(stdout).toMatch(/^echoed 200$/m);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^packed ${packed}$`, 'm'));
    expect(bess.output).not.toMatch(/refused|broken/);
  });
});
