/**
 * Two threads on one device, with DPDK's vhost library as the peer: it echoes, it is killed, and another takes its
 * place.
 */
import { rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Testpmd } from '../../scripts/testpmd.js';
import { LentDevice } from '../support/lending/lent-device.js';
import { describeWith, testpmd } from '../support/requirements.js';
import { openFds, temporaryDirectory, untilFds } from '../support/resources.js';
import { until } from '../support/until.js';

describeWith('a lent transmit queue against dpdk-testpmd as vhost-user backend', [testpmd], () => {
  let directory: ReturnType<typeof temporaryDirectory>;
  let socket = '';
  let before = 0;
  let lent: LentDevice | undefined;
  const backends: Testpmd[] = [];

  beforeEach(() => {
    before = openFds();
    directory = temporaryDirectory();
    socket = `${directory.path}/vhost.sock`;
  });

  afterEach(async () => {
    await lent?.close();
    lent = undefined;
    await Promise.allSettled(backends.splice(0).map(({ child }) => child.stop()));
    directory.remove();
    await untilFds(before);
  });

  async function backend(): Promise<Testpmd> {
    const pmd = Testpmd.backend(socket, { forward: 'macswap' });
    backends.push(pmd);
    await pmd.started();
    return pmd;
  }

  it.each([
    ['spins', true, 'off' as const],
    ['spins, with offloads,', true, 'auto' as const],
    ['returns to its event loop', false, 'off' as const],
  ])('a sender that %s goes on after the backend was killed, and loses no buffer', async (_, spins, offloads) => {
    const first = await backend();
    lent = await LentDevice.open(socket, 'split', offloads);
    const { device } = lent;
    lent.startSender(spins);
    await lent.receive(5000);
    first.child.signal('SIGKILL');
    await until('the device is down', () => !device.isUp, lent.poll);
    await first.child.exited;
    rmSync(socket);
    await backend();
    await until('the device is up again', () => device.isUp, lent.poll);
    await lent.receive(5000);
    const { next, states } = await lent.stopSender();
    expect(states).toEqual(['down', 'up', 'closed']);
    expect(device.counters()).toMatchObject({ tx_packets: next, reconnects: 1, device_errors: 0 });
    lent.expectNoBufferLost();
  });
});
