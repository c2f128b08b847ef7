/** Two threads on one device, over our own vhost-user backend: one receives, one sends, and the peer comes and goes. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Reactor } from '../../../../../drivers/libc/index.js';
import { MemoryWindow, WindowAllocator } from '../../../../../drivers/memory/index.js';
import { VhostUserBackend } from '../../../../../drivers/transports/vhost-user/backend.js';
import { MAX_BURST, PacketBurst } from '../../../../../drivers/virtio/device/packet-burst.js';
import { LentDevice } from '../../../../support/lending/lent-device.js';
import { openFds, temporaryDirectory, untilFds } from '../../../../support/resources.js';
import { until } from '../../../../support/until.js';

const ALL = Uint8Array.from({ length: MAX_BURST }, (_, i) => i);
let before = 0;
let directory: ReturnType<typeof temporaryDirectory>;
let reactor: Reactor;
let backend: VhostUserBackend;
let lent: LentDevice;
const burst = new PacketBurst(MemoryWindow.reserve(4096));

/** The peer: sends back what it gets. */
function echo(): void {
  const pair = backend.pairs[0];
  if (pair === undefined) return;
  const count = pair.take(burst, MAX_BURST);
  if (count > 0) pair.put(burst, ALL, count);
  pair.complete();
}

function listen(): void {
  backend = new VhostUserBackend({ path: `${directory.path}/s`, reactor, windows: new WindowAllocator() });
}

/** The peer goes, stays away until the device has noticed, and comes back. */
async function replacePeer(): Promise<void> {
  backend.close();
  await until('the device is down', () => !lent.device.isUp);
  listen();
  await until('the device is up again', () => lent.device.isUp);
}

describe.each(['split', 'packed'] as const)('%s rings:', (ring) => {
  beforeEach(async () => {
    before = openFds();
    directory = temporaryDirectory();
    reactor = new Reactor();
    listen();
    lent = await LentDevice.open(`${directory.path}/s`, ring);
  });

  afterEach(async () => {
    await lent.close();
    backend.close();
    reactor.close();
    directory.remove();
    await untilFds(before);
  });

  describe.each([
    ['spins', true],
    ['returns to its event loop', false],
  ])('a sender that %s', (_, spins) => {
    it('sends while the owner receives, over two losses of the peer; no buffer is lost', async () => {
      lent.startSender(spins);
      for (let loss = 0; loss < 2; loss++) {
        await lent.receive(5000, echo);
        await replacePeer();
      }
      await lent.receive(5000, echo);
      const { next, inFlight, states } = await lent.stopSender();
      expect(states).toEqual(['down', 'up', 'down', 'up', 'closed']);
      const counters = lent.device.counters();
      expect(counters).toMatchObject({ tx_packets: next, tx_bytes: next * 64, reconnects: 2, device_errors: 0 });
      expect(next).toBeGreaterThanOrEqual(lent.received);
      expect(inFlight).toBeLessThanOrEqual(256);
      lent.expectNoBufferLost();
    });

    it('leaves before the device is closed', async () => {
      lent.startSender(spins);
      await lent.receive(1000, echo);
      const closing = lent.device.close();
      await closing;
      const { states } = await lent.stopSender();
      expect(states).toEqual(['closed']);
    });
  });

  describe('a sender that dies', () => {
    it('is not waited for; its buffers in the ring are the owner’s after the restart', async () => {
      lent.startSender(true);
      await lent.receive(2000, echo);
      await lent.killSender();
      await replacePeer();
      expect(lent.device.counters().tx_lost_on_reset).toBe(lent.device.sent.available);
      lent.expectNoBufferLost();
    });

    it('can be replaced: the device is restarted for the next sender', async () => {
      lent.startSender(true);
      await lent.receive(2000, echo);
      await lent.killSender();
      await until('the end of the thread is noticed, and the queue can be lent again', () => lent.tryStartSender());
      expect(lent.device.isUp).toBe(false);
      await until('the device is up again', () => lent.device.isUp);
      await lent.receive(2000, echo);
      const { next } = await lent.stopSender();
      expect(next).toBeGreaterThan(1 << 30);
      expect(lent.told).toEqual(['down', 'up']);
      lent.expectNoBufferLost();
    });
  });
});

describe.each(['split', 'packed'] as const)('%s rings with offloads:', (ring) => {
  beforeEach(async () => {
    before = openFds();
    directory = temporaryDirectory();
    reactor = new Reactor();
    listen();
    lent = await LentDevice.open(`${directory.path}/s`, ring, 'auto');
  });

  afterEach(async () => {
    await lent.close();
    backend.close();
    reactor.close();
    directory.remove();
    await untilFds(before);
  });

  it('a sender of chains, over a loss of the peer; no buffer is lost', async () => {
    lent.startSender(true);
    await lent.receive(3000, echo);
    await replacePeer();
    await lent.receive(3000, echo);
    const { next } = await lent.stopSender();
    const counters = lent.device.counters();
    expect(counters).toMatchObject({ tx_packets: next, tx_bytes: next * 64, reconnects: 1, device_errors: 0 });
    expect(counters).toMatchObject({ tx_dropped_bad_offload: 0, rx_dropped_bad_offload: 0 });
    lent.expectNoBufferLost();
  });

  it('a sender that dies: the parts of its packets come back at the restart', async () => {
    lent.startSender(true);
    await lent.receive(2000, echo);
    await lent.killSender();
    await replacePeer();
    expect(lent.device.counters().tx_lost_on_reset! * 2).toBe(lent.device.sent.available);
    lent.expectNoBufferLost();
  });
});
