import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { expectNoBufferLost, makeCore, packetTo } from '../../../support/link/core.js';
import { arp, ethernet, ipv4, PEER_IP } from '../../../support/link/frames.js';

const packet = ethernet(ipv4([1]));
const noise = ethernet([1, 2, 3], { type: 0x88cc });
const realTime = { clock: () => performance.now() };

/** Whether a promise is settled once the event loop has turned. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(
    () => {
      settled = true;
    },
    () => {},
  );
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

describe('waitForPackets with a signal', () => {
  it('ends, and resolves as always, when it aborts; nobody listens to the signal afterwards', async () => {
    const t = makeCore();
    const stop = new AbortController();
    const waiting = t.core.waitForPackets({ signal: stop.signal });
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(1);
    expect(await isSettled(waiting)).toBe(false);
    stop.abort();
    expect(await waiting).toBe(0);
    expect(t.core.isAsleep).toBe(false);
    expect(t.device.interruptsOn).toBe(false);
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0);
  });

  it('does not sleep when it has aborted, and tells of the packets that wait', async () => {
    const t = makeCore();
    expect(await t.core.waitForPackets({ signal: AbortSignal.abort() })).toBe(0);
    t.device.inject(packet);
    expect(await t.core.waitForPackets({ signal: AbortSignal.abort(), timeoutMs: 60_000 })).toBe(1);
    expect(t.core.isAsleep).toBe(false);
  });

  it('wakes for packets before it aborts', async () => {
    const t = makeCore();
    const stop = new AbortController();
    const waiting = t.core.waitForPackets({ signal: stop.signal });
    t.device.inject(packet);
    expect(await waiting).toBe(1);
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0);
  });

  it('takes anything that has the three members of a signal', async () => {
    const t = makeCore();
    const listeners = new Set<() => void>();
    const signal = {
      aborted: false,
      addEventListener: (_: 'abort', listener: () => void) => void listeners.add(listener),
      removeEventListener: (_: 'abort', listener: () => void) => void listeners.delete(listener),
    };
    const waiting = t.core.waitForPackets({ signal });
    for (const listener of listeners) listener();
    expect(await waiting).toBe(0);
    expect(listeners.size).toBe(0);
  });

  it.each([[100], ['x'], [null]])('refuses options that are none: %j', async (options) => {
    const waiting = makeCore().core.waitForPackets(options as never);
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_TSPMD_ARGUMENT' });
  });
});

describe('waitForPackets', () => {
  it('does not sleep when packets wait', async () => {
    const t = makeCore();
    t.device.inject(packet);
    expect(await t.core.waitForPackets()).toBe(1);
    expect(t.device.interruptsOn).toBe(false);
  });

  it('wakes when a packet comes, and polls without interrupts then', async () => {
    const t = makeCore();
    const waiting = t.core.waitForPackets();
    expect(await isSettled(waiting)).toBe(false);
    expect(t.device.interruptsOn).toBe(true);
    t.device.inject(packet);
    expect(await waiting).toBe(1);
    expect(t.device.interruptsOn).toBe(false);
  });

  it('loses no wake-up: a packet that comes while the interrupt is being armed is seen', async () => {
    const t = makeCore();
    t.device.whileArming = () => {
      t.device.whileArming = null;
      t.device.inject(packet);
    };
    expect(await t.core.waitForPackets()).toBe(1);
  });

  it('looks for itself now and then where the device has no interrupt', async () => {
    const t = makeCore(realTime);
    t.device.pollOnly = true;
    const waiting = t.core.waitForPackets();
    expect(await isSettled(waiting)).toBe(false);
    // No interrupt tells of this one.
    t.device.interruptsOn = false;
    t.device.inject(packet);
    expect(await waiting).toBe(1);
  });

  it('sleeps on after what is not for the stack: ARP is answered, noise is dropped', async () => {
    const t = makeCore();
    const waiting = t.core.waitForPackets();
    t.device.inject(arp());
    t.device.inject(noise);
    expect(await isSettled(waiting)).toBe(false);
    expect(t.device.frames).toHaveLength(1);
    expect(t.device.interruptsOn).toBe(true);
    t.device.inject(packet);
    expect(await waiting).toBe(1);
    expectNoBufferLost(t);
  });

  it('lets other code run although frames for others never end', async () => {
    const t = makeCore();
    let flood = true;
    t.device.whileArming = () => {
      if (flood) t.device.inject(noise);
    };
    const waiting = t.core.waitForPackets();
    expect(await isSettled(waiting)).toBe(false);
    flood = false;
    expect(await isSettled(waiting)).toBe(false);
    t.device.inject(packet);
    expect(await waiting).toBe(1);
  });

  it('keeps its timeout and the ARP timers although frames for others never end', async () => {
    const t = makeCore();
    t.device.whileArming = () => t.device.inject(noise);
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    t.core.flush();
    expect(t.device.frames).toHaveLength(1);
    const waiting = t.core.waitForPackets({ timeoutMs: 2000 });
    t.time.now += 1000;
    expect(await isSettled(waiting)).toBe(false);
    expect(t.device.frames).toHaveLength(2);
    t.time.now += 1000;
    expect(await waiting).toBe(0);
  });

  it('keeps its timeout although each interrupt comes before the timer', async () => {
    const t = makeCore();
    const waiting = t.core.waitForPackets({ timeoutMs: 2000 });
    t.device.inject(noise);
    t.time.now += 2000;
    t.device.inject(noise);
    expect(await waiting).toBe(0);
  });

  it('lets timers and signals run although packets never end', async () => {
    const t = makeCore(realTime);
    let running = true;
    setTimeout(() => {
      running = false;
    }, 5);
    // Ends only if the timer gets its turn.
    while (running) {
      t.device.inject(packet);
      expect(await t.core.waitForPackets()).toBe(1);
      t.core.release(t.core.getBufferRx()!);
    }
  });

  it('comes back after the timeout with nothing', async () => {
    const t = makeCore(realTime);
    expect(await t.core.waitForPackets({ timeoutMs: 5 })).toBe(0);
    expect(await t.core.waitForPackets({ timeoutMs: 0 })).toBe(0);
    expect(t.device.interruptsOn).toBe(false);
  });

  it('comes back when the link goes or comes', async () => {
    const t = makeCore();
    const down = t.core.waitForPackets();
    t.device.setLink(false);
    expect(await down).toBe(0);
    const up = t.core.waitForPackets();
    expect(await isSettled(up)).toBe(false);
    t.device.setLink(true);
    expect(await up).toBe(0);
  });

  it('comes back on wake, and when the core is closed; then nobody sleeps any more', async () => {
    const t = makeCore();
    const woken = t.core.waitForPackets();
    t.core.wake();
    expect(await woken).toBe(0);
    const closed = t.core.waitForPackets();
    t.core.close();
    expect(await closed).toBe(0);
    await expect(t.core.waitForPackets()).rejects.toThrow('the port was stopped');
  });

  it('refuses a second waiter', async () => {
    const t = makeCore();
    const first = t.core.waitForPackets();
    await expect(t.core.waitForPackets()).rejects.toThrow('another call waits already');
    t.core.wake();
    await first;
  });

  it('sends at once what is sent while the stack sleeps, and keeps the ARP timers going', async () => {
    const t = makeCore();
    const waiting = t.core.waitForPackets();
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    expect(t.device.frames).toHaveLength(1);
    // The request is due again after a second, and nobody but the sleeper is there to see to it.
    expect(t.core.nextDeadline()).toBe(t.time.now + 1000);
    t.core.wake();
    await waiting;
  });

  it('tries again by itself when the ring was full', async () => {
    const t = makeCore(realTime, { txRing: 1, holdTx: true });
    t.device.inject(arp());
    t.core.getRxCount();
    const waiting = t.core.waitForPackets();
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    expect(t.core.held().pending).toBe(1);
    t.device.complete();
    while (t.core.held().pending > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(t.device.frames).toHaveLength(2);
    t.core.wake();
    await waiting;
  });
});
