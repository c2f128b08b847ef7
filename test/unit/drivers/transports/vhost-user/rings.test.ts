/** When the rings of the vhost-user backend start and stop, split and packed, and what happens to frames meanwhile. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { native } from '../../../../../drivers/libc/ffi/native.js';
import { abi, closeFile, eventfd } from '../../../../../drivers/libc/index.js';
import * as p from '../../../../../drivers/transports/vhost-user/protocol.js';
import { MAX_BURST, PacketBurst } from '../../../../../drivers/virtio/device/packet-burst.js';
import * as f from '../../../../../drivers/virtio/features.js';
import { until } from '../../../../support/until.js';
import { BackendSuite, MODERN } from '../../../../support/vhost-user/backend-suite.js';
import { USER_BASE } from '../../../../support/vhost-user/fake-frontend.js';
import { ALL } from '../../../../support/virtio/device-queue-suite.js';
import type { PackedDriverModel } from '../../../../support/virtio/packed-driver-model.js';

const R = p.VhostUserRequest;
const suite = new BackendSuite();

describe('rings', () => {
  it('start at their first kick, carry frames, and stop with GET_VRING_BASE', async () => {
    suite.listen();
    suite.connect();
    let changes = 0;
    suite.backend.onChange = () => changes++;
    suite.frontend.start(MODERN, 0n);
    await suite.started();
    expect(suite.backend.txQueue(0)).toBe(suite.pair.txQueue);
    expect(suite.backend.rxQueue(0)).toBe(suite.pair.rxQueue);
    expect(changes).toBe(2);
    suite.offerFrame(100);
    expect(suite.take()).toBe(1);
    expect(suite.burst.length[0]).toBe(100);
    expect(suite.frontend.tx.takeUsed()).toHaveLength(1);
    suite.frontend.rx.offer([{ offset: suite.frontend.rx.buffer(1600), length: 1600, write: true }]);
    suite.fill();
    expect(suite.pair.put(suite.burst, ALL, 1)).toBe(1);
    expect(suite.frontend.rx.takeUsed()).toEqual([{ id: expect.any(Number), length: 72 }]);
    expect(suite.frontend.rx.takeSignal()).toBe(true);
    const base = await suite.frontend.ask(R.GET_VRING_BASE, p.encodeVringState({ index: 1, num: 0 }));
    expect(p.decodeVringState(base, 'base')).toEqual({ index: 1, num: 1 });
    expect(suite.pair.txQueue).toBe(null);
    expect(suite.take()).toBe(0);
    expect(suite.pair.rxQueue).not.toBe(null);
  });

  // Clauses: 2.1.2a
  it('do not start before a kick, nor when they are only enabled', async () => {
    suite.listen();
    suite.connect();
    suite.frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK);
    suite.frontend.setMemory();
    suite.frontend.setRing(1);
    suite.frontend.setKick(1);
    expect(await suite.frontend.confirm(R.SET_VRING_ENABLE, p.encodeVringState({ index: 1, num: 1 }))).toBe(true);
    expect(suite.pair.txQueue).toBe(null);
    suite.frontend.kick(1);
    await until('the queue', () => suite.pair.txQueue !== null);
  });

  it('start with a kick that came before they were set up', async () => {
    suite.listen();
    suite.connect();
    suite.frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK);
    suite.frontend.setEnabled(1, 1);
    suite.frontend.kick(1);
    suite.frontend.setKick(1);
    expect(await suite.frontend.confirm(R.SET_OWNER)).toBe(true);
    suite.frontend.setMemory();
    suite.frontend.setRing(1);
    await until('the queue', () => suite.pair.txQueue !== null);
  });

  it('start without a kick if frames wait, as when the last backend wanted no kicks', async () => {
    suite.listen();
    suite.connect();
    suite.offerFrame();
    suite.frontend.setFeatures(MODERN, 0n);
    suite.frontend.setMemory();
    suite.frontend.setRing(1);
    suite.frontend.setEnabled(1, 1);
    suite.frontend.setKick(1);
    await until('the queue', () => suite.pair.txQueue !== null);
    expect(suite.take()).toBe(1);
  });

  it('start at once, and must be polled, when there is no kick descriptor', async () => {
    suite.listen();
    suite.connect();
    suite.frontend.setFeatures(MODERN, 0n);
    suite.frontend.setMemory();
    suite.frontend.setRing(1);
    suite.frontend.setEnabled(1, 1);
    expect(suite.backend.pollOnly).toBe(false);
    suite.frontend.tell(R.SET_VRING_KICK, p.encodeVringFd(1, false));
    await until('the queue', () => suite.pair.txQueue !== null);
    expect([suite.backend.pollOnly, suite.pair.pollOnly]).toEqual([true, true]);
  });

  it('must be polled once their kick descriptor is taken away, running or not', async () => {
    suite.listen();
    suite.connect();
    suite.frontend.start(MODERN, p.PROTOCOL_F_REPLY_ACK);
    await suite.started();
    const polled = p.encodeVringFd(1, false);
    expect(await suite.frontend.confirm(R.SET_VRING_KICK, polled)).toBe(true);
    expect([suite.pair.txQueue !== null, suite.pair.pollOnly]).toEqual([true, true]);
    await suite.frontend.ask(R.GET_VRING_BASE, p.encodeVringState({ index: 1, num: 0 }));
    suite.frontend.setRing(1);
    suite.frontend.setKick(1);
    expect(await suite.frontend.confirm(R.SET_VRING_KICK, polled)).toBe(true);
    expect([suite.pair.txQueue !== null, suite.pair.pollOnly]).toEqual([true, true]);
  });

  it('follow features that are set while they wait for their first kick', async () => {
    suite.listen();
    suite.connect();
    suite.frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK);
    suite.frontend.setMemory();
    suite.frontend.setRing(1);
    suite.frontend.setEnabled(1, 1);
    suite.frontend.setKick(1);
    // A legacy driver's header has 10 bytes.
    expect(await suite.frontend.confirm(R.SET_FEATURES, p.encodeU64(f.VHOST_USER_F_PROTOCOL_FEATURES))).toBe(true);
    suite.frontend.kick(1);
    await until('the queue', () => suite.pair.txQueue !== null);
    suite.frontend.tx.offer([{ offset: suite.frontend.tx.buffer(70), length: 70 }]);
    expect(suite.take()).toBe(1);
    expect(suite.burst.length[0]).toBe(60);
  });

  it('signal a call descriptor that is new, and never wait for its reader', async () => {
    suite.listen();
    suite.connect();
    suite.frontend.start(MODERN, p.PROTOCOL_F_REPLY_ACK);
    await suite.started();
    const call = native.eventfd(0, abi.EFD_CLOEXEC);
    expect(await suite.frontend.confirm(R.SET_VRING_CALL, p.encodeVringFd(0, true), [call])).toBe(true);
    const info = readFileSync(`/proc/self/fdinfo/${call}`, 'utf8');
    expect(Number.parseInt(/flags:\s+(\d+)/.exec(info)![1]!, 8) & abi.O_NONBLOCK).toBe(abi.O_NONBLOCK);
    expect(info).toMatch(/eventfd-count:\s+1\n/);
    closeFile(call);
  });

  it('that are broken when they are set up do not start, and can be set up anew', async () => {
    suite.listen();
    suite.connect();
    suite.frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK);
    suite.frontend.kick(1);
    suite.frontend.setKick(1);
    expect(await suite.frontend.confirm(R.SET_OWNER)).toBe(true);
    suite.frontend.tx.setAvailIdx(100);
    suite.frontend.setMemory();
    suite.frontend.setRing(1);
    suite.frontend.setEnabled(1, 1);
    await until('the notice', () => suite.notices.length > 0);
    expect(suite.notices[0]).toMatch(/^ring 1 stopped, the driver broke it/);
    suite.frontend.tx.setAvailIdx(0);
    expect(await suite.frontend.confirm(R.SET_VRING_NUM, p.encodeVringState({ index: 1, num: 16 }))).toBe(true);
    await until('the queue', () => suite.pair.txQueue !== null);
  });

  it('are enabled from the start without PROTOCOL_FEATURES', async () => {
    suite.listen();
    suite.connect();
    suite.frontend.setFeatures(f.VIRTIO_F_VERSION_1, 0n);
    suite.frontend.setMemory();
    suite.frontend.setRing(1);
    suite.frontend.setKick(1);
    suite.frontend.kick(1);
    await until('the queue', () => suite.pair.txQueue !== null);
  });

  it('discard frames that are sent while they are disabled', async () => {
    suite.listen();
    suite.connect();
    suite.frontend.start(MODERN, 0n);
    await suite.started();
    suite.frontend.setEnabled(1, 0);
    await until('the queue to go', () => suite.pair.txQueue === null);
    for (let i = 0; i < 5; i++) suite.offerFrame();
    suite.frontend.kick(1);
    let used = 0;
    await until(
      'five frames discarded',
      () => used === 5,
      () => {
        used += suite.frontend.tx.takeUsed().length;
      },
    );
    suite.frontend.setEnabled(1, 1);
    await suite.started();
    expect(suite.take()).toBe(0);
  });

  it('discard one burst per turn of the event loop, and all frames in the end', async () => {
    suite.listen();
    suite.connect({ size: 256 });
    suite.frontend.start(MODERN, 0n);
    await suite.started();
    suite.frontend.setEnabled(1, 0);
    await until('the queue to go', () => suite.pair.txQueue === null);
    for (let i = 0; i < 200; i++) suite.offerFrame();
    suite.frontend.kick(1);
    const turns: number[] = [];
    const used = (): number => turns.reduce((sum, count) => sum + count, 0);
    await until(
      'all frames discarded',
      () => used() === 200,
      () => turns.push(suite.frontend.tx.takeUsed().length),
    );
    // Two bursts, if the turn of the test comes late.
    expect(Math.max(...turns)).toBeLessThanOrEqual(2 * MAX_BURST);
  });

  it('wake a port that wants kicks, also if they start later', async () => {
    suite.listen();
    let kicks = 0;
    suite.pair.onKick = () => kicks++;
    expect(suite.pair.enableKick()).toBe(true);
    suite.connect();
    suite.offerFrame();
    suite.frontend.start(MODERN, 0n);
    await until('a kick', () => kicks > 0);
    await suite.started();
    expect(suite.pair.enableKick()).toBe(false);
    expect(suite.take()).toBe(1);
    expect(suite.pair.enableKick()).toBe(true);
    expect(suite.frontend.tx.usedFlags).toBe(0);
    const before = kicks;
    suite.frontend.kick(1);
    await until('another kick', () => kicks > before);
    suite.pair.disableKick();
    expect(suite.frontend.tx.usedFlags).toBe(1);
  });

  it('continue in a new memory table, and stop when they are not in it', async () => {
    suite.listen();
    suite.connect();
    suite.frontend.start(MODERN, p.PROTOCOL_F_REPLY_ACK);
    await suite.started();
    const queue = suite.pair.txQueue;
    suite.offerFrame();
    expect(suite.take()).toBe(1);
    const again = p.encodeMemoryTable([suite.frontend.region()]);
    expect(await suite.frontend.confirm(R.SET_MEM_TABLE, again, [suite.frontend.memoryFd])).toBe(true);
    expect(suite.pair.txQueue).toBe(queue);
    suite.offerFrame();
    expect(suite.take()).toBe(1);
    expect(suite.frontend.tx.takeUsed()).toHaveLength(2);
    const elsewhere = p.encodeMemoryTable([{ ...suite.frontend.region(), userAddress: USER_BASE + 0x1_0000_0000n }]);
    expect(await suite.frontend.confirm(R.SET_MEM_TABLE, elsewhere, [suite.frontend.memoryFd])).toBe(true);
    expect([suite.pair.txQueue, suite.pair.rxQueue]).toEqual([null, null]);
    expect(suite.notices).toHaveLength(2);
    expect(suite.notices[1]).toMatch(
      /ring 1: descriptor table of 256 bytes at user address 0x7f0000081000 is not in the memory/,
    );
  });

  it('that the driver breaks stop, signal the err descriptor, and spare the other ring', async () => {
    suite.listen();
    suite.connect();
    const err = eventfd();
    let signalled = false;
    suite.reactor.watch(err, abi.EPOLLIN | abi.EPOLLET, () => {
      signalled = true;
    });
    suite.frontend.start(MODERN, 0n);
    suite.frontend.tell(R.SET_VRING_ERR, p.encodeVringFd(1, true), [err]);
    await suite.started();
    await suite.frontend.ask(R.GET_FEATURES);
    suite.frontend.tx.setAvailIdx(100);
    expect(suite.take()).toBe(0);
    expect(suite.pair.txQueue).toBe(null);
    expect(suite.pair.rxQueue).not.toBe(null);
    expect(suite.notices).toEqual([expect.stringMatching(/^ring 1 stopped, the driver broke it: avail index 100/)]);
    await until('the signal', () => signalled);
    suite.reactor.unwatch(err);
    closeFile(err);
  });

  // Clauses: 2.4.1b
  it('stop at a reset', async () => {
    suite.listen();
    suite.connect();
    suite.frontend.start(MODERN, p.PROTOCOL_F_REPLY_ACK | p.PROTOCOL_F_STATUS);
    expect(await suite.frontend.confirm(R.SET_STATUS, p.encodeU64(15n))).toBe(true);
    await suite.started();
    expect(await suite.frontend.confirm(R.SET_STATUS, p.encodeU64(0n))).toBe(true);
    expect([suite.pair.txQueue, suite.pair.rxQueue]).toEqual([null, null]);
  });

  it('count frames for a peer that is not there', () => {
    suite.listen();
    suite.burst = new PacketBurst(suite.windows.allocate(1 << 20).window);
    suite.fill();
    expect(suite.pair.put(suite.burst, ALL, 1)).toBe(0);
    expect(suite.pair.counters()).toMatchObject({ out_noDriver: 1, out_packets: 0, in_packets: 0 });
  });
});

describe('packed rings', () => {
  const PACKED = MODERN | f.VIRTIO_F_RING_PACKED;

  it.each([0x8000, 0x0003, 0x8005_8005])('begin at base %i, and stop where they are', async (base) => {
    suite.listen();
    suite.connect({ packed: true, base, size: 13 });
    suite.frontend.start(PACKED, p.PROTOCOL_F_REPLY_ACK);
    await suite.started();
    const [rx, tx] = suite.frontend.drivers;
    for (let i = 0; i < 20; i++) {
      const length = 12 + 60 + i;
      tx.offer([{ offset: tx.buffer(length), length }]);
      rx.offer([{ offset: rx.buffer(length), length, write: true }]);
      expect(suite.pair.take(suite.burst, MAX_BURST)).toBe(1);
      expect(suite.pair.put(suite.burst, ALL, 1)).toBe(1);
      suite.pair.complete();
      expect(tx.takeUsed()).toHaveLength(1);
      expect(rx.takeUsed().map((used) => used.length)).toEqual([length]);
    }
    for (const [index, driver] of [rx, tx].entries()) {
      const reply = await suite.frontend.ask(R.GET_VRING_BASE, p.encodeVringState({ index, num: 0 }));
      expect(p.decodeVringState(reply, 'base')).toEqual({ index, num: (driver as PackedDriverModel).expectedBase });
    }
    expect(suite.notices).toEqual([]);
  });

  it('may have any size, and a base of 32 bits', async () => {
    suite.listen();
    suite.connect();
    suite.frontend.setFeatures(PACKED, p.PROTOCOL_F_REPLY_ACK);
    const set = (request: number, num: number): Promise<boolean> =>
      suite.frontend.confirm(request, p.encodeVringState({ index: 1, num }));
    expect(await set(R.SET_VRING_NUM, 100)).toBe(true);
    expect(await set(R.SET_VRING_BASE, 0x8063_8063)).toBe(true);
    expect(await set(R.SET_VRING_NUM, 32769)).toBe(false);
    expect(await set(R.SET_VRING_NUM, 0)).toBe(false);
    suite.frontend.setFeatures(MODERN, p.PROTOCOL_F_REPLY_ACK);
    expect(await set(R.SET_VRING_NUM, 100)).toBe(false);
    expect(await set(R.SET_VRING_BASE, 0x8000_8000)).toBe(false);
  });

  it('are stopped by a driver that breaks them, and continue in a new table', async () => {
    suite.listen();
    suite.connect({ packed: true, base: 0x8000 });
    suite.frontend.start(PACKED, p.PROTOCOL_F_REPLY_ACK);
    await suite.started();
    const [, tx] = suite.frontend.drivers;
    suite.frontend.setMemory();
    expect(await suite.frontend.confirm(R.SET_OWNER)).toBe(true);
    tx.offer([{ offset: tx.buffer(72), length: 72 }]);
    expect(suite.take()).toBe(1);
    (tx as PackedDriverModel).offerRaw([{ offset: 0x4000, length: 72, flags: 1 }]);
    expect(suite.take()).toBe(0);
    expect(suite.notices).toEqual([
      expect.stringMatching(/^ring 1 stopped, the driver broke it: the chain at descriptor 1/),
    ]);
    expect(suite.pair.txQueue).toBeNull();
  });
});
