/** The backend with a frontend that misuses the eventfds that they share. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as p from '../../../../drivers/transports/vhost-user/protocol.js';
import { QueueCounter } from '../../../../drivers/virtio/device/queue-counters.js';
import { counterOf, fillCounter, makeBlocking, OVERFLOWN, Waiters } from '../../../support/libc/hostile-eventfd.js';
import { until } from '../../../support/until.js';
import { BackendSuite, MODERN } from '../../../support/vhost-user/backend-suite.js';

const R = p.VhostUserRequest;
/** Offsets in the frontend's memory. */
const BUFFER = 0x5_0000;
const s = new BackendSuite();

beforeEach(() => s.listen());

/** Gives the driver a frame in a buffer that it has posted. */
function put(): number {
  const { rx } = s.frontend;
  rx.offer([{ offset: BUFFER, length: 256, write: true }]);
  s.fill();
  const frames = s.pair.put(s.burst, new Uint8Array([0]), 1);
  rx.takeUsed();
  return frames;
}

describe('a call eventfd that is blocking, and full', () => {
  it('holds up no frame in either direction, and wakes its reader', async () => {
    const { rx, tx } = s.connect();
    s.frontend.start(MODERN, 0n);
    await s.started();
    for (const { callFd } of [rx.options, tx.options]) {
      fillCounter(callFd);
      makeBlocking(callFd);
    }
    for (let n = 0; n < 3; n++) {
      expect(put()).toBe(1);
      s.offerFrame();
      expect(s.take()).toBe(1);
    }
    expect(counterOf(rx.options.callFd)).toBe(OVERFLOWN);
    expect(counterOf(tx.options.callFd)).toBe(OVERFLOWN);
  });

  it('holds up no message that signals it: a new call eventfd, a broken ring', async () => {
    const { tx } = s.connect();
    s.frontend.start(MODERN, p.PROTOCOL_F_REPLY_ACK);
    await s.started();
    const { callFd } = tx.options;
    fillCounter(callFd);
    for (const request of [R.SET_VRING_CALL, R.SET_VRING_ERR]) {
      expect(await s.frontend.confirm(request, p.encodeVringFd(1, true), [callFd])).toBe(true);
      makeBlocking(callFd);
    }
    tx.setAvailIdx(1000);
    s.take();
    expect(s.notices.join()).toContain('ring 1 stopped');
    expect(await s.frontend.confirm(R.SET_OWNER)).toBe(true);
  });
});

describe('a kick eventfd that is blocking, and empty', () => {
  it('is never read', async () => {
    s.connect();
    s.frontend.start(MODERN, p.PROTOCOL_F_REPLY_ACK);
    await s.started();
    let kicks = 0;
    s.backend.onKick = () => void kicks++;
    for (const index of [0, 1]) {
      counterOf(s.frontend.kicks[index]!);
      makeBlocking(s.frontend.kicks[index]!);
    }
    s.frontend.kick(1);
    // The event has arrived, and the eventfd is empty again.
    counterOf(s.frontend.kicks[1]!);
    makeBlocking(s.frontend.kicks[1]!);
    expect(await s.frontend.confirm(R.SET_OWNER)).toBe(true);
    s.frontend.kick(1);
    await until('a kick', () => kicks > 0);
  });
});

describe('a call eventfd on which very many wait', () => {
  let waiters: Waiters | null = null;
  afterEach(() => waiters?.close());

  it('is signalled seldom, frames go on, and the last signal comes', async () => {
    const { rx } = s.connect();
    s.frontend.start(MODERN, p.PROTOCOL_F_REPLY_ACK);
    await s.started();
    const { callFd } = rx.options;
    // A signal takes about 10 ms.
    waiters = new Waiters(callFd, 100_000);
    counterOf(callFd);
    const start = performance.now();
    let frames = 0;
    while (performance.now() - start < 300) frames += put();
    const signals = Number(counterOf(callFd));
    // The driver wants a signal for each frame.
    expect(frames).toBeGreaterThan(300);
    expect(s.pair.rxCounts[QueueCounter.signals]).toBe(frames);
    expect(signals).toBeLessThan(60);
    await until('the signal that is due', () => counterOf(callFd) > 0n);
    expect(await s.frontend.confirm(R.SET_OWNER)).toBe(true);
  });
});
