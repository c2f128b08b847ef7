import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { arp, ethernet, ipv4, PEER_IP } from '../../../support/link/frames.js';
import { expectNoBufferLost, makeCore, packetTo } from '../../../support/link/test-core.js';

const packet = ethernet(ipv4([1]));
const noise = ethernet([1, 2, 3], { type: 0x88cc });
const realTime = { clock: () => performance.now() };

/** Whether a promise is settled after one turn of the event loop. */
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
  it('ends and resolves when the signal aborts, and leaves no listener on it', async () => {
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

  it('does not sleep after the abort, and returns the number of packets that wait', async () => {
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

  it('takes any object with the three members of a signal', async () => {
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

  it.each([[100], ['x'], [null]])('refuses options that are invalid: %j', async (options) => {
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

  it('loses no wake-up: sees a packet that comes while the interrupt is being armed', async () => {
    const t = makeCore();
    t.device.whileArming = () => {
      t.device.whileArming = null;
      t.device.inject(packet);
    };
    expect(await t.core.waitForPackets()).toBe(1);
  });

  it('polls now and then if the device has no interrupt', async () => {
    const t = makeCore(realTime);
    t.device.pollOnly = true;
    const waiting = t.core.waitForPackets();
    expect(await isSettled(waiting)).toBe(false);
    // There is no interrupt for this packet.
    t.device.interruptsOn = false;
    t.device.inject(packet);
    expect(await waiting).toBe(1);
  });

  it('sleeps on after what is not for the stack: answers ARP, drops noise', async () => {
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

  it('lets other code run if frames for others never end', async () => {
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

  it('keeps its timeout and the ARP timers if frames for others never end', async () => {
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

  it('keeps its timeout if each interrupt comes before the timer', async () => {
    const t = makeCore();
    const waiting = t.core.waitForPackets({ timeoutMs: 2000 });
    t.device.inject(noise);
    t.time.now += 2000;
    t.device.inject(noise);
    expect(await waiting).toBe(0);
  });

  it('lets timers and signals run if packets never end', async () => {
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

  it('returns 0 after the timeout', async () => {
    const t = makeCore(realTime);
    expect(await t.core.waitForPackets({ timeoutMs: 5 })).toBe(0);
    expect(await t.core.waitForPackets({ timeoutMs: 0 })).toBe(0);
    expect(t.device.interruptsOn).toBe(false);
  });

  it('returns when the link goes or comes', async () => {
    const t = makeCore();
    const down = t.core.waitForPackets();
    t.device.setLink(false);
    expect(await down).toBe(0);
    const up = t.core.waitForPackets();
    expect(await isSettled(up)).toBe(false);
    t.device.setLink(true);
    expect(await up).toBe(0);
  });

  it('returns on wake and when the core is closed; then it does not sleep any more', async () => {
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

  it('sends at once while the stack sleeps, and keeps the ARP timers running', async () => {
    const t = makeCore();
    const waiting = t.core.waitForPackets();
    t.core.addBufferToRing(packetTo(t.core, PEER_IP));
    expect(t.device.frames).toHaveLength(1);
    // The request is due again after a second, and only the sleeping core can send it.
    expect(t.core.nextDeadline()).toBe(t.time.now + 1000);
    t.core.wake();
    await waiting;
  });

  it('tries again by itself after the ring was full', async () => {
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
